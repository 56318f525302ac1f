/** `errand admin token`: a short-lived management token, for whoever may read the broker's keys. To stdout, nowhere else. */
import { configPath, loadConfig } from '../../config/load-config.ts'
import { MANAGEMENT_TOKEN_LIFETIME_S } from '../../kernel/limits.ts'
import { ADMIN_ROLES, isAdminRole } from '../../model/admin-role.ts'
import type { CommandBody } from '../command.ts'
import { mintManagement, NAME_OPTION, operatorName } from '../operator.ts'
import { CONFIG_OPTION, JSON_OPTION } from '../options.ts'
import { writeJson, writeToken } from '../output.ts'

export const adminTokenCommand: CommandBody = {
  arguments: [],
  options: {
    role: {
      value: 'ROLE',
      help: 'only this role, may be repeated (default: all of them)',
      oneOf: ADMIN_ROLES,
      repeats: true,
    },
    ...CONFIG_OPTION,
    ...NAME_OPTION,
    ...JSON_OPTION,
  },
  examples: [
    'errand admin token --name carol | sed "s/^/Authorization: Bearer /" | curl -s http://127.0.0.1:4400/admin/v1/sessions -H @-',
  ],
  notes: [
    `Needs read access to the broker’s key directory, and nothing else: there is no static admin key. Good for ${MANAGEMENT_TOKEN_LIFETIME_S / 60} minutes, at the admin API only.`,
    'The token goes to standard output alone: pipe it, never paste it into a command line.',
  ],
  run: async (args, io) => {
    const config = loadConfig(configPath(args.text('config')))
    const roles = args.flag('role') ? args.all('role').filter(isAdminRole) : ADMIN_ROLES
    const wish = { name: operatorName(args), roles, seconds: MANAGEMENT_TOKEN_LIFETIME_S }
    const token = await mintManagement(config, wish)
    if (args.flag('json')) writeJson({ token: token.reveal(), expires_in: MANAGEMENT_TOKEN_LIFETIME_S }, io)
    else writeToken(token, io)
    return 0
  },
}
