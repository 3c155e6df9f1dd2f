/**
 * A bill of materials before it has a format: what was looked at, what stands in it, and what it
 * needs from elsewhere. What is not known is absent here, and each format says so in its own words.
 */

import { toHex, utf8 } from '../../bytes.ts';
import type { Crypto } from '../../crypto/crypto.ts';
import type { Instant } from '../../time.ts';

export interface Bill {
  readonly created: Instant;
  /** Whoever supplies what is described; absent when nobody said. */
  readonly supplier?: string;
  /** The first is what the document describes. Never empty. */
  readonly components: readonly Component[];
  /** Files in the first component, in the order of their names. */
  readonly files: readonly BillFile[];
  /** SPDX 2.3, 7.9: a SHA-1 over those of the files; with them. */
  readonly verificationCode?: string;
  /** Licences in words that SPDX's list does not have. */
  readonly otherLicences: readonly OtherLicence[];
}

export interface Component {
  /** Unique in the bill; letters, digits, `.` and `-`. */
  readonly id: string;
  readonly name: string;
  readonly version?: string;
  readonly fileName?: string;
  readonly purpose: 'device-driver' | 'library' | 'application' | 'operating-system' | 'files';
  readonly sha256?: string;
  readonly sha512?: string;
  readonly purl?: string;
  /** As its authors declare it: an expression of SPDX. */
  readonly licence?: string;
  /** What a tool read, in words: `build id`, `symbols`. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** Ids of components without which it does not run. */
  readonly needs: readonly string[];
}

export interface BillFile {
  /** `./folder/name`. */
  readonly name: string;
  readonly sha1: string;
  readonly sha256: string;
  /** What its `SPDX-License-Identifier` lines say. */
  readonly licences: readonly string[];
}

export interface OtherLicence {
  /** `LicenseRef-…`. */
  readonly id: string;
  readonly text: string;
}

/** The described thing. */
export function subjectOf(bill: Bill): Component {
  return bill.components[0] as Component;
}

/** SHA-256 of all that the bill says: equal bills have equal identifiers, and no two others do. */
export function billDigest(crypto: Crypto, bill: Bill): string {
  return toHex(crypto.sha256(utf8(JSON.stringify(bill))));
}
