/** Beside every artifact stand all of its sidecars, as targets of the same vendor's role or bins. */

import { IronError } from '../../../shared/errors.ts';
import { type Measured, parseTargetCustom } from '../../../shared/evidence/custom.ts';
import { SIDECARS, type Sidecar, sidecarPath } from '../../../shared/layout.ts';
import type { TargetEntry } from '../../../shared/tuf/targets.ts';
import { some } from '../check.ts';
import type { Delta } from '../delta.ts';

/** Of every artifact that a submission touches, as it will stand. `E_EVIDENCE`, `E_CEILING`. */
export async function sidecars(delta: Delta): Promise<string> {
  let artifacts = 0;
  for (const path of delta.artifacts()) {
    const entry = await delta.entry(path);
    if (entry !== undefined) artifacts += 1;
    const listed = entry?.custom?.maybe('ironport');
    const custom = listed && parseTargetCustom(listed);
    for (const sidecar of Object.keys(SIDECARS) as Sidecar[]) {
      const beside = await delta.entry(sidecarPath(path, sidecar));
      if (entry !== undefined) demand(entry, custom?.sidecars[sidecar], sidecar, beside);
      else if (beside !== undefined) {
        throw new IronError('E_EVIDENCE', `${beside.path} stands beside no artifact`, {
          why: `the role does not list ${path}`,
        });
      }
    }
  }
  return `${some(artifacts, 'artifact')}, each with its sidecars`;
}

/** The sidecar is a target, and the very one that the artifact's entry lists. */
function demand(
  entry: TargetEntry,
  named: Measured | undefined,
  sidecar: Sidecar,
  target: TargetEntry | undefined,
): void {
  const path = sidecarPath(entry.path, sidecar);
  const why =
    named === undefined
      ? `the entry of ${entry.path} does not list it`
      : target === undefined
        ? 'it is not a target of the role'
        : target.length !== named.length || target.hashes.get('sha256') !== named.sha256
          ? 'the role lists another file under its path than the entry of the artifact'
          : undefined;
  if (why === undefined) return;
  const code = sidecar === 'ceiling' ? 'E_CEILING' : 'E_EVIDENCE';
  throw new IronError(code, `${path} is missing or another file`, { why, context: { path } });
}
