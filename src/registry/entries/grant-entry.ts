/** The shape of a grant: whom it concerns, which tools, when. */
import { z } from 'zod'
import { RISK_LEVELS } from '../../model/risk.ts'
import { strictObject } from '../strict-document.ts'
import { clientName, constraints, environmentName, id, selector, text, time, userName } from './entry-fields.ts'

const principal = strictObject({
  user: userName.optional(),
  group: text.optional(),
  role: text.optional(),
  agent: clientName.optional(),
  owner: text.optional(),
}).refine(
  (value) => Object.values(value).filter((member) => member !== undefined).length === 1,
  'must have exactly one of user, group, role, agent, owner',
)

const riskLevel = z.enum(RISK_LEVELS)
const risk = z.union([strictObject({ at_most: riskLevel }), strictObject({ at_least: riskLevel })], {
  error: 'must be at_most or at_least, and low, medium or high',
})

export const grant = strictObject({
  id,
  effect: z.enum(['allow', 'deny']),
  principals: z.array(principal).min(1),
  resources: z.array(selector).min(1),
  when: strictObject({
    not_before: time.optional(),
    not_after: time.optional(),
    environment: environmentName.optional(),
    risk: risk.optional(),
  }).default({}),
  constraints: constraints.optional(),
  reason: z.string().max(512).default(''),
})

export type GrantEntry = z.output<typeof grant>
