/**
 * The TLS certificate that the broker serves: read strictly (a key that everybody may read, that belongs to another
 * certificate, or that has ended is refused with what to do), read again when its files change, and warned of before it ends.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { type Clock, epochSeconds } from '../kernel/clock.ts'
import { codeOf, messageOf } from '../kernel/fault.ts'
import { CERTIFICATE_WARNING_S, CERTIFICATE_WATCH_MS } from '../kernel/process-limits.ts'

export interface CertificateFiles {
  readonly certificateFile: string
  readonly keyFile: string
}

export interface ServedCertificate {
  /** PEM: the broker's own first, then intermediates. */
  readonly certificate: string
  readonly key: string
  /** Epoch seconds. */
  readonly endsAt: number
}

/** Says what to do about it; never what is in the file. */
export class CertificateProblem extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'CertificateProblem'
  }
}

/** @throws CertificateProblem */
export async function readCertificate(files: CertificateFiles, clock: Clock): Promise<ServedCertificate> {
  const { certificateFile, keyFile } = files
  const [certificate, key] = [await read(certificateFile), await read(keyFile)]
  const { mode } = await stat(keyFile)
  if ((mode & 0o007) !== 0) {
    const found = (mode & 0o777).toString(8).padStart(3, '0')
    throw new CertificateProblem(`${keyFile}: mode ${found} lets everybody read the private key; run chmod 600 on it`)
  }
  const parsed = parsedCertificate(certificate, certificateFile)
  if (!parsed.checkPrivateKey(privateKey(key, keyFile))) {
    throw new CertificateProblem(`${keyFile} is not the key of the first certificate in ${certificateFile}`)
  }
  const endsAt = Math.floor(parsed.validToDate.getTime() / 1000)
  if (endsAt <= epochSeconds(clock)) {
    throw new CertificateProblem(`${certificateFile} ended at ${parsed.validToDate.toISOString()}: renew it`)
  }
  return { certificate, key, endsAt }
}

export interface CertificateListener {
  changed(certificate: ServedCertificate): void
  /** New files that cannot be used: the old certificate is served on. */
  refused(problem: string): void
  ending(endsAt: number): void
}

export interface WatchOptions {
  readonly clock: Clock
  readonly listener: CertificateListener
  readonly everyMs?: number
}

export interface CertificateWatch {
  /** Reads the files now, changed or not. */
  reload(): Promise<void>
  stop(): void
}

/** Looks at the files' times, not for events: mounted secrets are swapped by links, which events miss. */
export function watchCertificate(
  files: CertificateFiles,
  first: ServedCertificate,
  { clock, listener, everyMs = CERTIFICATE_WATCH_MS }: WatchOptions,
): CertificateWatch {
  let served = first
  let seen: string | undefined
  let toldAt = 0
  const reload = async () => {
    try {
      served = await readCertificate(files, clock)
      listener.changed(served)
    } catch (fault) {
      listener.refused(messageOf(fault))
    }
  }
  const look = async () => {
    const found = await versionOf(files)
    const isChanged = seen !== undefined && found !== seen
    seen = found
    if (isChanged) await reload()
    const now = epochSeconds(clock)
    if (served.endsAt - now > CERTIFICATE_WARNING_S || now - toldAt < DAY_S) return
    toldAt = now
    listener.ending(served.endsAt)
  }
  const timer = setInterval(() => void look(), everyMs)
  timer.unref()
  void look()
  return { reload, stop: () => clearInterval(timer) }
}

const DAY_S = 24 * 3600

async function versionOf({ certificateFile, keyFile }: CertificateFiles): Promise<string> {
  const one = async (path: string) => {
    const found = await stat(path).catch(() => undefined)
    return found === undefined ? 'gone' : `${found.ino} ${found.mtimeMs} ${found.size}`
  }
  return `${await one(certificateFile)}, ${await one(keyFile)}`
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (fault) {
    throw new CertificateProblem(`${path}: cannot be read (${codeOf(fault)})`)
  }
}

function parsedCertificate(text: string, path: string): X509Certificate {
  try {
    return new X509Certificate(text)
  } catch {
    throw new CertificateProblem(`${path}: its first entry is not a certificate in PEM form`)
  }
}

function privateKey(text: string, path: string): KeyObject {
  try {
    return createPrivateKey(text)
  } catch {
    throw new CertificateProblem(`${path}: is not a private key in PEM form without a password`)
  }
}
