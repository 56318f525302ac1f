/**
 * Each grant against those that hold wherever it does: as wide or wider in whom, which tools, where and when. Of rules that
 * say the same, each would make the other idle: the order here (`precedes`) has no circles, so that one is always left.
 */

import type { ToolConstraints } from '../authority/authority.ts'
import { meetTool } from '../authority/constraints.ts'
import { ARGUMENTS_PER_TOOL_MAX } from '../kernel/limits.ts'
import { userName } from '../kernel/user-name.ts'
import type { Grant, PrincipalSelector, Registry } from '../model/registry.ts'
import type { ToolSelector } from '../model/resource.ts'
import { Coverage, type Place, Selectors, type Spanned, Spans } from './coverage.ts'
import type { Finding } from './finding.ts'
import { principalKey } from './grant-index.ts'
import type { ToolReach } from './tool-reach.ts'

/** A grant as far as it can match. */
export interface Rule extends Spanned, Pick<Grant, 'principals' | 'resources'> {
  /** Empty: in any. */
  readonly environment: string
  /** In one spelling; empty: none. */
  readonly constraints: string
}

/** Beyond, a selector is compared as a whole only, not tool by tool. */
const TOOLS_COMPARED_MAX = 32
/** Of the constraints that other allows have in one place. */
const CONSTRAINTS_COMPARED_MAX = 16
/** Of the grants named by a finding. */
const NAMED_MAX = 8
const ANY = ''
const ANY_CONSTRAINTS = '*'

/** One principal and one selector of a rule, and the selectors of other rules that select as much. */
interface Pair {
  readonly rule: Rule
  readonly own: string
  readonly principals: readonly string[]
  readonly breadth: readonly [said: number, position: number]
}
type Find = (pair: Pair, selectors: readonly number[]) => Grant | undefined
interface Form {
  readonly constraints: ToolConstraints
  readonly spans: Spans
}

export class GrantComparison {
  readonly #reach: ToolReach
  readonly #selectors: Selectors
  /** Of listed users and agents: what else names them. */
  readonly #wider = new Map<string, readonly string[]>()
  readonly #denies = new Coverage(() => new Spans())
  readonly #allows = new Coverage(() => new Spans())
  readonly #constrained = new Coverage(() => new Map<string, Form>())

  constructor(registry: Registry, reach: ToolReach, rules: readonly Rule[]) {
    const { users, agents } = registry
    this.#reach = reach
    this.#selectors = new Selectors(registry)
    for (const { issuerSlug, sub, groups, roles } of users) {
      const borne = [...groups.map((group) => ({ group })), ...roles.map((role) => ({ role }))]
      this.#wider.set(principalKey({ user: userName({ issuerSlug, sub }) }), borne.map(principalKey))
    }
    for (const { clientId, owner } of agents) {
      this.#wider.set(principalKey({ agent: clientId }), [principalKey({ owner })])
    }
    for (const rule of rules) this.#add(rule)
  }

  judge(rule: Rule): Finding | undefined {
    const { grant } = rule
    const found = (kind: Finding['kind'], says: string, by: readonly string[]): Finding => {
      const severity = kind === 'shadowed' ? 'warning' : 'error'
      return { kind, severity, grant, path: grant.at, says: `${says} ${by.join(', ')}`, by }
    }
    if (grant.effect === 'deny') {
      const same = this.#everywhere(rule, this.#sameDeny)
      return same && found('shadowed', 'denies nothing that is not denied by', same)
    }
    const denied = this.#everywhere(rule, this.#deny)
    if (denied !== undefined) return found('contradiction', 'never allows anything: all of it is denied by', denied)
    const apart = rule.constraints === ANY ? undefined : this.#everywhere(rule, this.#contradicting)
    if (apart !== undefined) {
      return found('constraints_contradict', 'never allows anything: no call fits its constraints and those of', apart)
    }
    const same = this.#everywhere(rule, this.#sameAllow)
    return same && found('shadowed', 'changes nothing: the same is said by', same)
  }

  #add(rule: Rule): void {
    const { grant, environment, constraints } = rule
    for (const principal of rule.principals.map(principalKey)) {
      for (const selector of rule.resources.map((one) => this.#selectors.number(one))) {
        if (grant.effect === 'deny') {
          this.#denies.at(principal, environment, selector).add(rule)
          continue
        }
        for (const said of new Set([constraints, ANY_CONSTRAINTS])) {
          this.#allows.at(principal, formOf(rule, environment, said), selector).add(rule)
        }
        if (constraints === ANY) continue
        const forms = this.#constrained.at(principal, environment, selector)
        const form = forms.get(constraints) ?? { constraints: grant.constraints, spans: new Spans() }
        forms.set(constraints, form)
        form.spans.add(rule)
      }
    }
  }

  /** Ids of what was found for every principal and every selector, or else every tool, of the rule; `undefined`: not for all. */
  #everywhere(rule: Rule, find: Find): readonly string[] | undefined {
    const by = new Set<string>()
    for (const principal of rule.principals) {
      const principals = this.#naming(principal)
      for (const selector of rule.resources) {
        const said = this.#selectors.breadth(this.#selectors.number(selector))
        const pair: Pair = { rule, own: principalKey(principal), principals, breadth: [said, rule.position] }
        const found = this.#over(pair, selector, find)
        if (found === undefined) return undefined
        for (const { id } of found) by.add(id)
      }
    }
    return [...by].sort().slice(0, NAMED_MAX)
  }

  #over(pair: Pair, selector: ToolSelector, find: Find): readonly Grant[] | undefined {
    const whole = find(pair, this.#selectors.asWide(selector))
    if (whole !== undefined) return [whole]
    const tools = this.#reach.of(selector)
    if (tools.length > TOOLS_COMPARED_MAX) return undefined
    const found: Grant[] = []
    for (const tool of tools) {
      const one = find(pair, this.#selectors.selecting(tool, selector.container))
      if (one === undefined) return undefined
      found.push(one)
    }
    return found
  }

  #naming(principal: PrincipalSelector): readonly string[] {
    const own = principalKey(principal)
    return [own, ...(this.#wider.get(own) ?? [])]
  }

  readonly #deny: Find = ({ rule, principals }, selectors) => {
    for (const { value } of this.#denies.among(principals, environmentsOf(rule), selectors)) {
      const found = value.around(rule)
      if (found !== undefined) return found.grant
    }
    return undefined
  }

  readonly #sameDeny: Find = (pair, selectors) => {
    const { rule, own } = pair
    // A deny on an agent also meets work that the agent began and others do, of whom none need be of its owner.
    const principals = own.startsWith('agent:') ? [own] : pair.principals
    for (const place of this.#denies.among(principals, environmentsOf(rule), selectors)) {
      const found = place.value.around(rule)
      if (found !== undefined && this.#precedes(found, place, pair, rule.environment)) return found.grant
    }
    return undefined
  }

  /** One with the same end only: what is granted ends with the grants that allow it. */
  readonly #sameAllow: Find = (pair, selectors) => {
    const { rule, principals } = pair
    const constraints = rule.constraints === ANY ? ANY_CONSTRAINTS : rule.constraints
    const forms = environmentsOf(rule).map((environment) => formOf(rule, environment, constraints))
    const ownForm = formOf(rule, rule.environment, constraints)
    for (const place of this.#allows.among(principals, forms, selectors)) {
      const found = place.value.around(rule)
      if (found !== undefined && this.#precedes(found, place, pair, ownForm)) return found.grant
    }
    return undefined
  }

  readonly #contradicting: Find = ({ rule, principals }, selectors) => {
    for (const { value } of this.#constrained.among(principals, environmentsOf(rule), selectors)) {
      let compared = 0
      for (const { constraints, spans } of value.values()) {
        compared += 1
        if (compared > CONSTRAINTS_COMPARED_MAX) break
        // With too many arguments two may have no meet that a third, by forbidding some of them, gives back.
        if (constraints.size + rule.grant.constraints.size > ARGUMENTS_PER_TOOL_MAX) continue
        if (meetTool(constraints, rule.grant.constraints) !== undefined) continue
        const found = spans.around(rule)
        if (found !== undefined) return found.grant
      }
    }
    return undefined
  }

  /** `found` holds wherever the pair does. Where both hold for the same people, place and time: the broader, then the first. */
  #precedes(found: Spanned, place: Place<Spans>, { rule, own, breadth }: Pair, ownForm: string): boolean {
    if (found.grant === rule.grant) return false
    const isWider = place.principal !== own || place.form !== ownForm
    if (isWider || found.from < rule.from || found.until > rule.until) return true
    const said = this.#selectors.breadth(place.selector)
    return said < breadth[0] || (said === breadth[0] && found.position < breadth[1])
  }
}

function environmentsOf({ environment }: Rule): readonly string[] {
  return [...new Set([ANY, environment])]
}

/** No environment's name has a line's end. */
function formOf({ until }: Rule, environment: string, constraints: string): string {
  return `${environment}\n${until}\n${constraints}`
}
