/** `errand review`: who may what and does not use it, what ends, who is missing; for a person, and for a scheduled build. */
import { REVIEW_DAYS_DEFAULT, REVIEW_DAYS_MAX } from '../../kernel/store-limits.ts'
import type { CommandBody } from '../command.ts'
import { numberIn } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawReview } from './review-drawing.ts'

export const reviewCommand: CommandBody = {
  arguments: [],
  options: {
    days: { value: 'N', help: `what was not used for so long is unused (default ${REVIEW_DAYS_DEFAULT})` },
    fail: { help: 'exit code 1 where something needs attention: for a scheduled build' },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: ['errand review', 'errand review --days 90 --fail'],
  notes: [
    'An agent uses a tool when an access token that carries it is issued to it, or to whom it has passed it on. What has not been counted for that long is not called unused.',
    'Runs on the broker’s own machine: it mints a management token from the broker’s keys, for this one request.',
  ],
  run: async (args, io) => {
    const days = args.whole('days', 1, REVIEW_DAYS_MAX) ?? REVIEW_DAYS_DEFAULT
    const operator = await connectOperator(args)
    const review = await operator.get(`/review?days=${days}`)
    if (args.flag('json')) writeJson(review, io)
    else io.out(drawReview(review, io.styles))
    // Written so that an answer without a number fails, too.
    return args.flag('fail') && numberIn(review['attention']) !== 0 ? 1 : 0
  },
}
