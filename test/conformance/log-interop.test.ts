/**
 * The log against an independent implementation: Go's sumdb packages (Debian: golang-golang-x-mod-dev, golang-go), where they are
 * installed. Their published vectors are checked everywhere, in test/unit/tlog.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { consistencyProof, inclusionProof } from '../../src/tlog/proofs.ts'
import { leaves } from '../support/tiled-tree.ts'
import { WitnessedLog } from '../support/witnessed-log.ts'

const GOPATH = '/usr/share/gocode'
const hasGo = existsSync('/usr/bin/go') && existsSync(`${GOPATH}/src/golang.org/x/mod/sumdb/tlog`)
if (!hasGo)
  console.warn('SKIPPED: no Go with golang.org/x/mod here; nothing but vectors speaks for interoperability of the log')

const PROGRAM = `package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type asked struct {
	Vkey, Note, Leaf, OldRoot string
	Index, Old                int64
	Path, Consistency         []string
}

func check(err error) {
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}

func hash(text string) (h tlog.Hash) {
	bytes, err := base64.StdEncoding.DecodeString(text)
	check(err)
	copy(h[:], bytes)
	return h
}

func hashes(texts []string) (all []tlog.Hash) {
	for _, text := range texts {
		all = append(all, hash(text))
	}
	return all
}

func main() {
	var a asked
	check(json.NewDecoder(os.Stdin).Decode(&a))
	verifier, err := note.NewVerifier(a.Vkey)
	check(err)
	opened, err := note.Open([]byte(a.Note), note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root := hash(lines[2])
	check(tlog.CheckRecord(tlog.RecordProof(hashes(a.Path)), size, root, a.Index, hash(a.Leaf)))
	check(tlog.CheckTree(tlog.TreeProof(hashes(a.Consistency)), size, root, a.Old, hash(a.OldRoot)))
	fmt.Println("ok")
}
`

test.skipIf(!hasGo)('Go’s sumdb opens our checkpoints and checks our proofs', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'errand-go-'))
  try {
    writeFileSync(join(directory, 'main.go'), PROGRAM)
    const env = {
      PATH: '/usr/bin:/bin',
      HOME: directory,
      GOPATH,
      GO111MODULE: 'off',
      GOCACHE: join(directory, 'cache'),
    }
    execFileSync('/usr/bin/go', ['build', '-o', 'check', 'main.go'], { cwd: directory, env })
    const log = new WitnessedLog('errand.example/audit').grow(700)
    const oldRoot = log.tree.frontier.root().toString('base64')
    log.grow(600)
    const base64 = (hashes: readonly Buffer[]) => hashes.map((hash) => hash.toString('base64'))
    const asked = {
      Vkey: log.key.vkey,
      Note: await log.checkpoint(),
      Index: 699,
      Leaf: leaves(700, '0 ')[699]?.toString('base64'),
      Old: 700,
      OldRoot: oldRoot,
      Path: base64(await inclusionProof(699, 1_300, log.tree)),
      Consistency: base64(await consistencyProof(700, 1_300, log.tree)),
    }
    const ask = (input: unknown) =>
      execFileSync(join(directory, 'check'), { input: JSON.stringify(input), encoding: 'utf8' }).trim()
    expect(ask(asked)).toBe('ok')
    expect(() => ask({ ...asked, Index: 698 })).toThrow()
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
