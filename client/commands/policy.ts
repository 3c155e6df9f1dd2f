/** `ironport-client policy explain|test|sign`: the rules by which this host takes drivers. */

import { toHex } from '../../shared/bytes.ts';
import type { CommandContext, CommandSpec } from '../../shared/cli/command.ts';
import {
  OPERATOR_SIGNS,
  readStatement,
  type StatementKind,
  signedWords,
  signStatement,
} from '../../shared/cli/operator-statement.ts';
import { table } from '../../shared/cli/table.ts';
import { CODES } from '../../shared/errors.ts';
import { DEFAULT_WORDS, explainPolicy } from '../../shared/evidence/policy/explain.ts';
import { parseHostPolicy } from '../../shared/evidence/policy/host-policy.ts';
import { HOST_POLICY_PAYLOAD_TYPE } from '../../shared/evidence/policy/signed-policy.ts';
import { passes } from '../../shared/evidence/policy/verdict.ts';
import { POLICY_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { argument, askedPolicy, POLICY, REPOSITORY, ROOT, STORE, withPinned } from './options.ts';
import { policyData } from './show.ts';

export const policyExplainCommand: CommandSpec = {
  name: 'policy explain',
  summary: 'say in words by which rules this host takes drivers',
  description:
    'Reads the policy as every command does that verifies: strictly, and with the signatures of ' +
    'the fleet when this host has its keys. Without a policy the default is explained, which ' +
    'holds beside every policy.',
  options: [STORE, ...POLICY],
  examples: [
    'ironport-client policy explain',
    'ironport-client policy explain --host-policy policy.json --json',
  ],
  schema: 'ironport-client/policy-explain/v1',
  async run(context) {
    const loaded = await askedPolicy(context);
    const explained = loaded && explainPolicy(loaded.policy, systemClock());
    const signedBy = loaded?.signedBy ?? [];
    const lines = [
      'every driver:',
      ...DEFAULT_WORDS.map((words) => `  ${words}`),
      ...(loaded === undefined || explained === undefined
        ? ['this host has no policy: nothing else is demanded']
        : [
            `${loaded.path}: ${explained.head.join(', ')}`,
            signedBy.length === 0 ? '  not signed' : `  signed by ${signedBy.join(', ')}`,
            ...explained.rules.flatMap(({ namespace, demands }) => [
              `${namespace === '*' ? 'any vendor' : namespace}:`,
              ...(demands.length === 0 ? ['  nothing else'] : demands.map((one) => `  ${one}`)),
            ]),
            explained.otherwise,
          ]),
    ];
    return {
      data: {
        path: loaded?.path ?? null,
        sha256: loaded?.sha256 ?? null,
        epoch: loaded?.policy.epoch ?? null,
        version: loaded?.policy.version ?? null,
        signed_by: signedBy,
        default: DEFAULT_WORDS,
        rules: explained?.rules ?? [],
        otherwise: explained?.otherwise ?? null,
      },
      text: lines.join('\n'),
    };
  },
};

export const policyTestCommand: CommandSpec = {
  name: 'policy test',
  summary: 'judge an artifact by the policy, and show every rule with its verdict',
  description:
    'Verifies everything about the artifact but its bytes, which are not fetched, and judges all ' +
    'rules, also after one that does not hold. Exit status 16 when the policy refuses.',
  arguments: [{ name: 'name', description: 'the target path: VENDOR/PRODUCT/VERSION/FILE' }],
  options: [...REPOSITORY, ROOT, ...POLICY],
  examples: [
    'ironport-client 127.0.0.1:8080 policy test acme/edu/1.0.0/edu.js --host-policy policy.json',
  ],
  schema: 'ironport-client/policy-test/v1',
  run: (context) =>
    withPinned(context, async (repository) => {
      const name = argument(context, 0, 'NAME');
      const policy = (await askedPolicy(context))?.policy;
      const { verdict } = await repository.verify(name, { policy, showsRefusals: true });
      const passed = passes(verdict.policy);
      const rows = verdict.policy.rules.map(({ rule, holds, what, evidence }) => [
        holds ? 'ok' : 'REFUSED',
        rule,
        evidence === '' ? what : `${what} (${evidence})`,
      ]);
      return {
        data: { path: name, passed, ...policyData(verdict.policy) },
        text: [
          table(rows),
          ...verdict.policy.notJudged.map((what) => `not judged: ${what}`),
          passed ? `the policy takes ${name}` : `the policy refuses ${name}`,
        ].join('\n'),
        ...(passed ? {} : { exit: CODES.E_POLICY.exit }),
      };
    }),
};

const POLICY_STATEMENT: StatementKind = {
  payloadType: HOST_POLICY_PAYLOAD_TYPE,
  what: 'policy',
  limit: 2 * POLICY_LIMITS.file,
  begin: (bytes) => bytes,
};

export const policySignCommand: CommandSpec = {
  name: 'policy sign',
  summary: "sign a policy as an operator of the fleet, or add one's signature to it",
  description:
    'FILE is a policy, or one that other operators signed already. What it demands is shown ' +
    'before the key is used.',
  arguments: [{ name: 'file', description: 'the policy' }],
  options: OPERATOR_SIGNS,
  examples: ['ironport-client policy sign policy.json --key operator-1.json --out signed.json'],
  schema: 'ironport-client/policy-sign/v1',
  async run(context) {
    const statement = await readStatement(argument(context, 0, 'FILE'), POLICY_STATEMENT);
    show(context, statement.payload);
    const signed = await signStatement(context, POLICY_STATEMENT, statement);
    const sha256 = toHex(crypto.sha256(statement.payload));
    return {
      data: { ...signed, sha256 },
      text: `${signedWords(signed)}; policy sha256 ${sha256}`,
    };
  },
};

function show({ ui }: CommandContext, payload: Uint8Array): void {
  const { head, rules, otherwise } = explainPolicy(parseHostPolicy(payload), systemClock());
  const lines = rules.map(({ namespace, demands }) => `${namespace}: ${demands.join('; ')}`);
  ui.stage(`this is what it demands:\n${[head.join(', '), ...lines, otherwise].join('\n')}`);
}
