/** How this program was started, so that what it tells a person to type works as told. */
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path'

/** The program's name as a shell needs it, ready to be followed by a command. */
export function programName(script: string = process.argv[1] ?? 'errand', directory: string = process.cwd()): string {
  if (basename(script) === 'errand') return 'errand'
  if (!script.endsWith('.ts')) return `node ${shellWord(script)}`
  // From the sources: npm finds the right Node, whatever `node` is on the PATH.
  const root = dirname(dirname(script))
  return root === directory ? 'npm run -s errand --' : `npm --prefix ${shellWord(root)} run -s errand --`
}

/** The same from any directory. */
export function programNameAnywhere(script: string = process.argv[1] ?? 'errand'): string {
  return programName(script, '')
}

/** A path as it is to be typed after `programName()`: npm runs commands in the package's own directory. */
export function typedPath(path: string, script: string = process.argv[1] ?? '', directory = process.cwd()): string {
  const absolute = isAbsolute(path) ? path : resolve(directory, path)
  if (script.endsWith('.ts') && dirname(dirname(script)) !== directory) return shellWord(absolute)
  const near = relative(directory, absolute)
  return shellWord(near === '' || near.startsWith('..') ? absolute : join('.', near))
}

/** Quoted for a POSIX shell where it needs to be. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./~-]+$/.test(text) && !text.startsWith('~') ? text : `'${text.replaceAll("'", "'\\''")}'`
}
