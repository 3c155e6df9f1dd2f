/** Timestamp metadata (TUF 1.0.34 section 4.6). */

import { METADATA_LIMITS } from '../limits.ts';
import { parseCommon, parseEnvelope, type SignedCommon } from './envelope.ts';
import { type MetaFile, parseMetaFile } from './meta-file.ts';

export interface Timestamp extends SignedCommon {
  readonly snapshot: MetaFile;
}

export function parseTimestamp(bytes: Uint8Array): Timestamp {
  const common = parseCommon(
    parseEnvelope(bytes, METADATA_LIMITS.timestamp, 'timestamp'),
    'timestamp',
  );
  return {
    ...common,
    snapshot: parseMetaFile(common.envelope.signed.get('meta').get('snapshot.json')),
  };
}
