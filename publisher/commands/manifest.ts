/** `ironport manifest lint|explain|diff`: resource ceilings, for those who write and review them. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { readEnvelope } from '../../shared/evidence/dsse.ts';
import { PREDICATE_TYPES } from '../../shared/evidence/identifiers.ts';
import { parseStatement } from '../../shared/evidence/statement.ts';
import { Node } from '../../shared/json/decode.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { EVIDENCE_LIMITS } from '../../shared/limits.ts';
import { type Ceiling, parseCeiling } from '../../shared/manifest/ceiling.ts';
import { diffCeilings } from '../../shared/manifest/diff-ceiling.ts';
import { explainCeiling } from '../../shared/manifest/explain-ceiling.ts';
import { lintCeiling } from '../../shared/manifest/lint-ceiling.ts';
import { readJsonFile } from '../../shared/node/files.ts';

/** What a check found that somebody should look at ends with this, when it was asked for. */
const REFUSED = 16;
const LEGEND = '(+ the driver may have more than before, - less, ~ neither)';
const FORMS =
  'A ceiling is a JSON file, or a published NAME.ceiling.json, whose signature is not checked here.';

export const manifestLint: CommandSpec = {
  name: 'manifest lint',
  summary: 'say what in a resource ceiling is worth a second look',
  description: FORMS,
  arguments: [{ name: 'ceiling', description: 'the ceiling' }],
  options: [{ flags: '--strict', description: `end with ${REFUSED} when there is advice` }],
  examples: [
    'ironport manifest lint edu.ceiling.json',
    'ironport manifest lint edu.ceiling.json --strict',
  ],
  schema: 'ironport/manifest-lint/v1',
  async run(context) {
    const advice = lintCeiling(await readCeiling(context.args[0] as string));
    return {
      data: { advice },
      text: advice.length === 0 ? 'nothing to say' : advice.map((line) => `- ${line}`).join('\n'),
      exit: advice.length > 0 && context.flag('strict') ? REFUSED : 0,
    };
  },
};

export const manifestExplain: CommandSpec = {
  name: 'manifest explain',
  summary: 'say in words what a resource ceiling allows at most',
  description: FORMS,
  arguments: [{ name: 'ceiling', description: 'the ceiling' }],
  examples: ['ironport manifest explain edu.ceiling.json'],
  schema: 'ironport/manifest-explain/v1',
  async run(context) {
    const facts = explainCeiling(await readCeiling(context.args[0] as string));
    return { data: { facts: facts.map(([about, says]) => ({ about, says })) }, text: table(facts) };
  },
};

export const manifestDiff: CommandSpec = {
  name: 'manifest diff',
  summary: 'say in words what a new resource ceiling asks for that an old one did not',
  description: `${FORMS} Lines with + widen what the driver may have, lines with - narrow it, lines with ~ do neither.`,
  arguments: [
    { name: 'old', description: 'the ceiling before' },
    { name: 'new', description: 'the ceiling after' },
  ],
  options: [{ flags: '--refuse-wider', description: `end with ${REFUSED} when anything is wider` }],
  examples: [
    'ironport manifest diff 1.0.0.ceiling.json 1.1.0.ceiling.json',
    'ironport manifest diff 1.0.0.ceiling.json 1.1.0.ceiling.json --refuse-wider',
  ],
  schema: 'ironport/manifest-diff/v1',
  async run(context) {
    const [before, after] = [
      await readCeiling(context.args[0] as string),
      await readCeiling(context.args[1] as string),
    ];
    const changes = diffCeilings(before, after);
    const widens = changes.some(({ effect }) => effect === 'wider');
    const sign = { wider: '+', narrower: '-', other: '~' } as const;
    return {
      data: { widens, changes },
      text:
        changes.length === 0
          ? 'both allow the same'
          : [...changes.map(({ effect, text }) => `${sign[effect]} ${text}`), LEGEND].join('\n'),
      exit: widens && context.flag('refuse-wider') ? REFUSED : 0,
    };
  },
};

/** The ceiling in a file: bare, or as the predicate of a signed statement. */
async function readCeiling(file: string): Promise<Ceiling> {
  const node = new Node(await readJsonFile(file, EVIDENCE_LIMITS.ceiling), file);
  if (!isJsonObject(node.value) || node.value.payloadType === undefined) return parseCeiling(node);
  const statement = parseStatement(readEnvelope(node), file);
  if (statement.predicateType !== PREDICATE_TYPES.ceiling) {
    throw new IronError('E_CEILING', `${file} is a signed statement, but no resource ceiling`, {
      why: `its predicate type is ${JSON.stringify(statement.predicateType)}`,
      hint: 'nothing was changed; name the file that ends in .ceiling.json',
    });
  }
  return parseCeiling(statement.predicate);
}
