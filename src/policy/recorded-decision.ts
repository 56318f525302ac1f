/** A decision as it is kept beside its record: the question, and what of the answer the record itself has no room for. */
import type { Authority } from '../authority/authority.ts'
import { type JsonObject, own } from '../authority/strict-object.ts'
import type { DecisionId } from '../kernel/ids.ts'
import type { UserSnapshot } from '../model/audit-record.ts'
import { type Content, DigestedText } from '../model/commit.ts'
import type { Decision, Question } from '../model/decision.ts'
import { userSnapshot } from '../model/snapshot.ts'
import {
  decodeFromParts,
  decodeQuestion,
  encodeInParts,
  encodeQuestion,
  Parts,
  partsNamed,
  type QuestionSources,
} from './encode-question.ts'

export interface KeptDecision {
  /** Of the text of the question: what the record names. */
  readonly digest: string
  /** The resource that a token was wanted for. */
  readonly target: string | undefined
  /** The user it was decided for, as the directory had them. */
  readonly user: UserSnapshot | undefined
  /** That text and its parts: at most six. */
  readonly contents: readonly Content[]
}

export function keepDecision(question: Question, decision: Decision): KeptDecision {
  const parts = new Parts()
  const text = JSON.stringify({
    question: encodeQuestion(question, parts),
    answer:
      decision.outcome === 'allow'
        ? { outcome: decision.outcome, effective: encodeInParts(decision.effective, parts) }
        : { outcome: decision.outcome, reason: decision.reason },
  })
  const kept = new DigestedText(text)
  const user = question.user === undefined ? undefined : userSnapshot(question.user)
  return { digest: kept.digest, target: question.target, user, contents: [kept, ...parts.contents] }
}

/** What was answered then. */
export type KeptAnswer =
  | { readonly outcome: 'allow'; readonly effective: Authority }
  | { readonly outcome: 'deny'; readonly reason: string }

interface KeptText {
  readonly question: JsonObject
  readonly answer: JsonObject
}

function parseKept(text: string): KeptText {
  return JSON.parse(text) as KeptText
}

/** Digests of the parts that the text names. */
export function partsOfKept(text: string): readonly string[] {
  const { question, answer } = parseKept(text)
  return partsNamed(question, own(answer, 'effective'))
}

/** @throws QuestionUnreadable */
export function questionOfKept(text: string, id: DecisionId, sources: QuestionSources): Question {
  return decodeQuestion(parseKept(text).question, id, sources)
}

/** @throws QuestionUnreadable */
export function answerOfKept(text: string, sources: Pick<QuestionSources, 'part'>): KeptAnswer {
  const { answer } = parseKept(text)
  if (own(answer, 'outcome') === 'allow') {
    return { outcome: 'allow', effective: decodeFromParts(own(answer, 'effective'), sources) }
  }
  return { outcome: 'deny', reason: String(own(answer, 'reason')) }
}

/** The resource that a token was wanted for; `undefined`: a session or a delegation was. */
export function targetOfKept(text: string): string | undefined {
  const target = own(parseKept(text).question, 'target')
  return typeof target === 'string' ? target : undefined
}

/** What a kept question was about, whoever is registered now. */
export interface KeptTopic {
  readonly agent: string
  readonly subject: string
  readonly target: string | undefined
  readonly asked: Authority
}

/** @throws QuestionUnreadable */
export function topicOfKept(text: string, sources: Pick<QuestionSources, 'part'>): KeptTopic {
  const { question } = parseKept(text)
  return {
    agent: String(own(question, 'agent')),
    subject: String(own(question, 'subject')),
    target: targetOfKept(text),
    asked: decodeFromParts(own(question, 'asked'), sources),
  }
}
