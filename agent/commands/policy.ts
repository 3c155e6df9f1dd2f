/** `ironport-agent policy sign|accept`: what operators let drivers have, signed by them. */

import { toHex } from '../../shared/bytes.ts';
import type { CommandSpec } from '../../shared/cli/command.ts';
import {
  OPERATOR_SIGNS,
  readStatement,
  type StatementKind,
  signedWords,
  signStatement,
} from '../../shared/cli/operator-statement.ts';
import { MANIFEST_LIMITS } from '../../shared/limits.ts';
import {
  FLEET_POLICY_PAYLOAD_TYPE,
  parseStandingPolicy,
  type StandingPolicy,
} from '../../shared/manifest/signed-policy.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { formatInstant } from '../../shared/time.ts';
import { acceptFleetPolicy, loadFleetKeys } from '../fleet-policy.ts';
import { argument, FLEET_KEYS, openAgent, STATE } from './options.ts';

const POLICY_STATEMENT: StatementKind = {
  payloadType: FLEET_POLICY_PAYLOAD_TYPE,
  what: 'fleet policy',
  limit: MANIFEST_LIMITS.signedPolicy,
  begin: (bytes) => bytes,
};

export const policySignCommand: CommandSpec = {
  name: 'policy sign',
  summary: 'sign a fleet policy as an operator of the fleet',
  description:
    'FILE is a fleet policy with a version and an expiry, or one that other operators signed already. ' +
    'What it allows is shown before the key is used.',
  arguments: [{ name: 'file', description: 'the policy' }],
  options: OPERATOR_SIGNS,
  examples: ['ironport-agent policy sign fleet.json --key operator-1.json --out signed.json'],
  schema: 'ironport-agent/policy-sign/v1',
  async run(context) {
    const statement = await readStatement(argument(context, 0, 'FILE'), POLICY_STATEMENT);
    const policy = parseStandingPolicy(statement.payload);
    context.ui.stage(
      `${named(policy)} allows, until ${formatInstant(policy.expires)}: ${allowed(policy)}`,
    );
    const signed = await signStatement(context, POLICY_STATEMENT, statement);
    const sha256 = toHex(platformCrypto.sha256(statement.payload));
    return {
      data: { ...signed, ...standing(policy), sha256 },
      text: `${signedWords(signed)}; ${named(policy)}, sha256 ${sha256}`,
    };
  },
};

export const policyAcceptCommand: CommandSpec = {
  name: 'policy accept',
  summary: 'take a fleet policy that operators of the fleet signed, and never an older one again',
  description:
    'Where no --policy is named, what is bound from now on is bound by it. What is bound already keeps ' +
    'its grant. A policy that is older than one that was taken before is refused, whoever signed it.',
  arguments: [{ name: 'file', description: 'the signed policy' }],
  options: [FLEET_KEYS, STATE],
  examples: ['ironport-agent policy accept signed.json'],
  schema: 'ironport-agent/policy-accept/v1',
  async run(context) {
    const agent = openAgent(context);
    const fleet = await loadFleetKeys(agent);
    const bytes = await readFileCapped(argument(context, 0, 'FILE'), MANIFEST_LIMITS.signedPolicy);
    const taken = await acceptFleetPolicy(agent, bytes, fleet);
    const { policy, sha256, signers, again } = taken;
    return {
      data: { ...standing(policy), sha256, signers, again },
      text: `${again ? 'taken again' : 'taken'}: ${named(policy)} of the fleet policy, until ${formatInstant(policy.expires)}, signed by ${signers.join(', ')}`,
    };
  },
};

function named({ epoch, version }: StandingPolicy): string {
  return epoch === 1 ? `version ${version}` : `version ${version} of epoch ${epoch}`;
}

function standing({ version, expires, allow }: StandingPolicy) {
  return { version, expires: formatInstant(expires), entries: allow.length };
}

function allowed({ allow }: StandingPolicy): string {
  const entries = allow.map(({ namespace, devices }) => `${namespace} on ${devices.length} kinds`);
  return entries.join('; ') || 'nothing';
}
