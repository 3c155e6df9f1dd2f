/** `ironport-agent accept DIR`. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { loadHostPolicy } from '../../shared/node/host-policy.ts';
import { formatInstant } from '../../shared/time.ts';
import { shortKeyId } from '../../shared/tuf/key.ts';
import type { Check } from '../../shared/verify/check.ts';
import { type Acceptance, accept } from '../accept.ts';
import { argument, openAgent, STATE } from './options.ts';
import { hitData, hitText } from './show.ts';

export const acceptCommand: CommandSpec = {
  name: 'accept',
  summary: 'verify a hand-over again, from the root pinned here, and take it over',
  description:
    'DIR is a folder made by `ironport-client handoff`. Every file in it is opened once and copied; ' +
    'the copies are verified from the root that this agent has pinned, against version floors of ' +
    'its own. Nothing is stored unless every check passed, but for which policy the fleet signed last.',
  arguments: [{ name: 'dir', description: 'the hand-over folder' }],
  options: [
    STATE,
    { flags: '--root <file>', description: 'pin this root, once, when none is pinned yet' },
    {
      flags: '--host-policy <file>',
      description: 'the policy of this host (/etc/ironport/policy.json, when it is there)',
      env: 'IRONPORT_HOST_POLICY',
    },
    {
      flags: '--fleet-keys <file>',
      description: 'who must sign that policy (/etc/ironport/fleet-keys.json, when it is there)',
      env: 'IRONPORT_FLEET_KEYS',
    },
  ],
  examples: ['ironport-agent accept /run/ironport/handoff --root root.json'],
  schema: 'ironport-agent/accept/v1',
  async run(context) {
    const agent = openAgent(context);
    const root = context.text('root');
    const loaded = await loadHostPolicy(platformCrypto, {
      policy: context.text('host-policy'),
      fleetKeys: context.text('fleet-keys'),
    });
    const progress = context.ui.progress('artifact');
    const acceptance = await accept(agent, argument(context, 0, 'the hand-over folder'), {
      ...(root === undefined ? {} : { root }),
      policy: loaded,
      signal: context.signal,
      onStage: (text) => context.ui.stage(text),
      onBytes: (length) => progress.advance(length),
    });
    progress.done();
    return { data: dataOf(acceptance), text: textOf(acceptance) };
  },
};

function dataOf({ entry, checks, notChecked, recordSha256, again, hits }: Acceptance): unknown {
  return {
    path: entry.artifact.path,
    length: entry.artifact.length,
    sha256: entry.artifact.sha256,
    product: entry.product,
    generation: entry.generation,
    ceiling: entry.ceilingSource,
    ceiling_sha256: entry.sidecars.get('ceiling')?.sha256 ?? null,
    versions: Object.fromEntries(entry.versions),
    fresh_until: formatInstant(entry.freshUntil),
    record_sha256: recordSha256,
    again,
    revoked_bindings: hits.map(hitData),
    checks,
    not_checked: notChecked,
  };
}

function textOf({ entry, checks, notChecked, again, hits }: Acceptance): string {
  return [
    table(checks.map(row)),
    ...notChecked.map((what) => `not checked: ${what}`),
    `${again ? 'accepted again' : 'accepted'}: ${entry.artifact.path}, ${entry.artifact.length} bytes`,
    `  sha256 ${entry.artifact.sha256}`,
    `  may be bound until ${formatInstant(entry.freshUntil)}`,
    ...hits.map(hitText),
  ].join('\n');
}

function row({ rule, what, keys }: Check): string[] {
  const names = (keys ?? []).map((key) => key.replace(/[0-9a-f]{64}/g, shortKeyId));
  return ['ok', rule, names.length === 0 ? what : `${what}, by ${names.join(', ')}`];
}
