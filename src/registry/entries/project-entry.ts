/** The shape of a project's entry: a node of the tree that the organisation is the root of. */
import type { z } from 'zod'
import { strictObject } from '../strict-document.ts'
import { id, text } from './entry-fields.ts'

export const project = strictObject({ id, parent: id.optional(), owner: text })

export type ProjectEntry = z.output<typeof project>
