/** The shape of a role: who has it, by group and by name. */
import { z } from 'zod'
import { strictObject } from '../strict-document.ts'
import { text, userName } from './entry-fields.ts'

export const role = strictObject({
  name: text,
  groups: z.array(text).default([]),
  users: z.array(userName).default([]),
})

export type RoleEntry = z.output<typeof role>
