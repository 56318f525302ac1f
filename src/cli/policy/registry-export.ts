/** `errand registry export`: the registry as one policy document, to standard output. */
import { stringify } from 'yaml'
import type { CommandBody } from '../command.ts'
import { jsonObject } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'

export const registryExportCommand: CommandBody = {
  arguments: [],
  options: {
    api: { help: 'only what was written over the admin API, without what files say' },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: ['errand registry export > registry.yaml', 'errand registry export --api --json'],
  run: async (args, io) => {
    const operator = await connectOperator(args)
    const answer = await operator.get(args.flag('api') ? '/registry?source=api' : '/registry')
    const document = jsonObject(answer['document'])
    if (args.flag('json')) writeJson(document, io)
    else io.out(stringify(document, { aliasDuplicateObjects: false }))
    return 0
  },
}
