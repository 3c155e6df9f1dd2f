/**
 * What the verdict over a map file rests on: the map, and the inputs of each repository that agreed.
 * To judge it again is to verify each from its own root, and then to ask the map once more (ADR 0069).
 */

import { fromBase64, toBase64 } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError } from '../../shared/errors.ts';
import type { Summary } from '../../shared/evidence/vsa.ts';
import type { Node } from '../../shared/json/decode.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import type { LoadedPolicy } from '../../shared/node/host-policy.ts';
import { parseMapFile, parseRepositoryName } from '../../shared/tuf/map-file.ts';
import { keyIdentities } from '../../shared/tuf/role.ts';
import { type Agreement, agree, type Word } from '../../shared/verify/agreement.ts';
import type { AgreedTarget } from '../map/mapped.ts';
import {
  formatInputs,
  formatPolicy,
  INPUT_FIELDS,
  inputsOf,
  type JudgedInputs,
  judgeInputs,
  policyAgain,
} from './inputs.ts';

export const MAP_SCHEMA = 'ironport.vsa-map-inputs/v1';

/** Roots that the repositories of a map must begin at, by name. */
export type RootOf = (name: string) => Uint8Array | undefined;

/** The document; `map` is the file as it was read. */
export async function formatMapInputs(
  map: Uint8Array,
  { sources }: AgreedTarget,
  loaded: LoadedPolicy | undefined,
): Promise<JsonObject> {
  const parts: [string, JsonObject][] = [];
  for (const { name, repository, verified } of sources)
    parts.push([name, await formatInputs(repository, verified)]);
  return jsonObject([
    ['schema', MAP_SCHEMA],
    ['map', toBase64(map)],
    ['repositories', jsonObject(parts)],
    ['policy', formatPolicy(loaded)],
  ]);
}

/** What a summary says of an agreement: how many had to say the same, and who did. */
export function agreementOf({ mapping, agreed }: Agreement): NonNullable<Summary['agreement']> {
  return { threshold: mapping.threshold, agreed };
}

/**
 * The summary that the document leads to. A repository that is not in it says nothing here: what it
 * said then is not provable now, and can only have been less than a refusal. `E_NOT_AGREED`,
 * `E_NO_PIN`, and whatever the verification throws.
 */
export function judgeMapInputs(
  crypto: Crypto,
  node: Node,
  sha256: string,
  rootOf: RootOf,
): Summary {
  node.only('schema', 'map', 'repositories', 'policy');
  const map = parseMapFile(fromBase64(node.get('map').string()));
  const { policy, uri } = policyAgain(crypto, node.get('policy'));
  const judged = new Map<string, JudgedInputs>();
  for (const [name, part] of node.get('repositories').entries(map.repositories.size)) {
    if (!map.repositories.has(parseRepositoryName(name))) throw part.error('it is not in the map');
    judged.set(name, judgeInputs(crypto, part.only(...INPUT_FIELDS), policy, rootOf(name)));
  }
  const [first] = judged.values();
  if (first === undefined) throw node.get('repositories').error('one is expected at least');
  const { path } = first.verdict;
  for (const [name, { verdict }] of judged)
    if (verdict.path !== path)
      throw node.error(`${name} speaks of ${verdict.path}, not of ${path}`);
  const agreement = agreeAgain(map, path, judged);
  const delivered = judged.get(agreement.agreed[0] as string);
  if (delivered === undefined || agreement.agreed.length !== judged.size) {
    throw new IronError(
      'E_NOT_AGREED',
      `not all of the recorded repositories agree about ${path}`,
      {
        why: `${[...judged.keys()].join(', ')} are recorded; ${agreement.agreed.join(', ')} count`,
        hint: 'the summary is wrong, or was made by another version of this program',
      },
    );
  }
  const { verdict, sidecars, time } = delivered;
  return {
    artifact: { path, sha256: verdict.sha256 },
    verdict: verdict.policy,
    time,
    policy: uri,
    inputs: inputsOf(crypto, path, sidecars, { schema: MAP_SCHEMA, sha256 }),
    agreement: agreementOf(agreement),
  };
}

function agreeAgain(
  map: ReturnType<typeof parseMapFile>,
  path: string,
  judged: ReadonlyMap<string, JudgedInputs>,
): Agreement {
  const wordOf = (name: string): Word => {
    const one = judged.get(name);
    if (one === undefined) return { kind: 'absent' };
    const { length, hashes } = one.artifact.entry;
    const rootKeys = keyIdentities(one.root.keys, one.root.roles.root);
    return { kind: 'listed', entry: { length, hashes }, rootKeys };
  };
  const decision = agree(map, path);
  let step = decision.next();
  while (!step.done)
    step = decision.next(new Map(step.value.repositories.map((name) => [name, wordOf(name)])));
  return step.value;
}
