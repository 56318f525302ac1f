import { describe, expect, test } from 'vitest'
import { agentsOf, clientsOf, servicesOf, userIn } from '../../../src/authority/named.ts'

const ISSUER = 'https://errand.example'
const agent = (id: string, act?: object) => ({ iss: ISSUER, sub: `agent:${id}`, ...(act && { act }) }) as never
const server = (id: string, act?: object) => ({ iss: ISSUER, sub: `service:${id}`, ...(act && { act }) }) as never

describe('a token that a server holds', () => {
  const token = {
    subject: 'user:corp:alice',
    clientId: 'slack-server',
    act: server('slack-server', server('warehouse-server', agent('researcher', agent('orchestrator')))),
  }

  test('names every client of its chain, newest first', () => {
    expect(clientsOf(token, ISSUER)).toEqual(['slack-server', 'warehouse-server', 'researcher', 'orchestrator'])
  })

  test('names agents and servers apart: the nearest agent is the first', () => {
    expect(agentsOf(token, ISSUER)).toEqual(['researcher', 'orchestrator'])
    expect(servicesOf(token, ISSUER)).toEqual(['slack-server', 'warehouse-server'])
    expect(userIn(token)).toBe('user:corp:alice')
  })
})

test('an agent that works for itself is named by the subject, beneath the server that goes on for it', () => {
  const token = { subject: 'agent:orchestrator', clientId: 'slack-server', act: server('slack-server') }
  expect([agentsOf(token, ISSUER), servicesOf(token, ISSUER)]).toEqual([['orchestrator'], ['slack-server']])
})

test('a service’s API token names itself, and no agent', () => {
  const token = { subject: 'service:slack-server', clientId: 'slack-server', act: undefined }
  expect([clientsOf(token, ISSUER), agentsOf(token, ISSUER)]).toEqual([['slack-server'], []])
})

test('actors of other issuers are none of ours, whatever they are called', () => {
  const act = { iss: 'https://elsewhere.example', sub: 'service:warehouse-server', act: agent('orchestrator') } as never
  const token = { subject: 'user:corp:alice', clientId: 'orchestrator', act }
  expect([clientsOf(token, ISSUER), servicesOf(token, ISSUER)]).toEqual([['orchestrator'], []])
})
