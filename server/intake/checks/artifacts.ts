/** Which targets are artifacts: neither a sidecar nor the index of a product. */

import { indexPath, sidecarOf } from '../../../shared/layout.ts';

export function isArtifact(path: string): boolean {
  const [vendor, product] = path.split('/');
  return sidecarOf(path) === undefined && path !== indexPath(vendor ?? '', product ?? '');
}
