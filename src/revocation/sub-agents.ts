/**
 * What an agent may end of a session without holding it all: what hangs below a hop of its own. Whatever does not hang there
 * does not exist for it.
 */
import { type NodeView, type SessionView, subtree } from '../sessions/session-record.ts'

/** Hops that this sub-agent was given below those of `isOwn`, at whatever depth. */
export function hopsOfSubAgent(
  view: SessionView,
  subAgent: string,
  isOwn: (node: NodeView) => boolean,
): readonly string[] {
  return below(view, isOwn).flatMap(({ facts }) => (facts.holder === subAgent ? [facts.id] : []))
}

/** The hop of this name, if it hangs below one of `isOwn`. */
export function hopBelow(view: SessionView, id: string, isOwn: (node: NodeView) => boolean): readonly string[] {
  return below(view, isOwn).flatMap(({ facts }) => (facts.id === id ? [id] : []))
}

/** Strictly: its own hop is not its sub-agent's. */
function below(view: SessionView, isOwn: (node: NodeView) => boolean): readonly NodeView[] {
  const own = view.nodes.filter(isOwn)
  const found = own.flatMap((top) => subtree(view, top.facts.id).filter((node) => node !== top))
  return view.nodes.filter((node) => found.includes(node))
}
