/** Verified evidence as expressions see it: plain values, under names that are documented. */

import { type JsonObject, type JsonValue, jsonObject } from '../../json/value.ts';
import { parseArtifactPath } from '../../tuf/names.ts';
import type { EvidenceVerdict } from '../evidence.ts';
import type { FoundProvenance } from '../find-provenance.ts';
import type { Provenance } from '../provenance.ts';
import type { SbomPackage } from '../sbom.ts';

export interface Accepted {
  readonly sha256: string;
  readonly length: number;
  readonly found: FoundProvenance;
  readonly level: number;
}

/** `artifact`, `provenance`, `statements`, `sbom`, `ceiling`. */
export function factsOf(evidence: EvidenceVerdict, accepted: Accepted): JsonObject {
  const { vendor, product, version, file } = parseArtifactPath(evidence.artifact);
  const { provenance } = accepted.found;
  return jsonObject([
    [
      'artifact',
      jsonObject([
        ['path', evidence.artifact],
        ['vendor', vendor],
        ['product', product],
        ['version', version],
        ['file', file],
        ['length', accepted.length],
        ['sha256', accepted.sha256],
        ['generation', evidence.custom.generation],
      ]),
    ],
    [
      'provenance',
      jsonObject([
        ['build_type', provenance.buildType],
        ['builder_id', provenance.builderId],
        ['level', accepted.level],
        ['external_parameters', provenance.externalParameters],
        ['sources', [...sourcesOf(provenance)]],
      ]),
    ],
    [
      'statements',
      evidence.statements.map(({ statement, keys }) =>
        jsonObject([
          ['predicate_type', statement.predicateType],
          ['signatures', keys.length],
        ]),
      ),
    ],
    [
      'sbom',
      jsonObject([
        ['format', evidence.sbom.format],
        ['packages', evidence.sbom.packages.map(packageFact)],
      ]),
    ],
    ['ceiling', evidence.ceiling.value],
  ]);
}

function packageFact({ name, version, purls, licences }: SbomPackage): JsonValue {
  return jsonObject([
    ['name', name],
    ['version', version ?? ''],
    ['purls', purls],
    ['licences', licences],
  ]);
}

/**
 * The repositories that a provenance says it was built from, without what follows their path: the
 * external parameter `source`, and every dependency that is a commit.
 */
export function sourcesOf({ externalParameters, dependencies }: Provenance): string[] {
  const { source } = externalParameters;
  const named = typeof source === 'string' ? [source] : [];
  const commits = dependencies.flatMap(({ uri, isCommit }) =>
    uri !== undefined && isCommit ? [uri] : [],
  );
  return [...new Set([...named, ...commits].map(withoutRef))];
}

/** `git+https://host/repo@refs/tags/v1` without `@…`; an `@` before the path is a user's name. */
export function withoutRef(uri: string): string {
  const authority = uri.indexOf('://');
  const path = uri.indexOf('/', authority === -1 ? 0 : authority + 3);
  const at = uri.indexOf('@', path === -1 ? 0 : path);
  return at === -1 ? uri : uri.slice(0, at);
}
