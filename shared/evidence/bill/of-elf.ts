/** What an ELF file says about itself, as components of a bill of materials. */

import type { Elf } from '../elf/elf.ts';
import type { ModuleSigner, SignerId } from '../elf/pkcs7.ts';
import { isLicence } from '../licences.ts';
import { formatPurl } from '../purl.ts';
import type { Component, OtherLicence } from './bill.ts';

/** What somebody said who knows; it goes before what stands in the file. */
export interface Said {
  readonly name?: string | undefined;
  readonly version?: string | undefined;
  readonly supplier?: string | undefined;
  readonly licence?: string | undefined;
}

export interface ElfOf {
  readonly elf: Elf;
  readonly id: string;
  readonly fileName: string;
  readonly sha256: string;
  readonly sha512?: string;
  /** What was found out about an appended signature, in words. */
  readonly signature?: readonly (readonly [name: string, value: string])[];
}

export interface Described {
  readonly component: Component;
  /** What it needs; the caller joins those of several files. */
  readonly needs: readonly Component[];
  readonly otherLicences: readonly OtherLicence[];
}

export function describeElf(input: ElfOf, said: Said = {}): Described {
  const { elf, id, fileName, sha256, sha512 } = input;
  const info = elf.module;
  const isModule = info !== undefined && elf.kind === 'relocatable';
  const name = said.name ?? info?.name ?? fileName;
  const version = said.version ?? info?.version;
  const needs = [...kernelOf(elf), ...modulesOf(elf), ...librariesOf(elf)];
  const licence = licenceOf(said, elf);
  return {
    component: {
      id,
      name,
      ...(version !== undefined && { version }),
      fileName,
      purpose: isModule ? 'device-driver' : elf.kind === 'executable' ? 'application' : 'library',
      sha256,
      ...(sha512 !== undefined && { sha512 }),
      purl: ownPurl(name, version, said.supplier, sha256),
      ...(licence.expression !== undefined && { licence: licence.expression }),
      facts: [...factsOf(elf), ...(input.signature ?? [])],
      needs: needs.map((one) => one.id),
    },
    needs,
    otherLicences: licence.others,
  };
}

/** Of a thing that no registry of packages has: known by name and bytes (purl, type generic). */
export function ownPurl(
  name: string,
  version: string | undefined,
  supplier: string | undefined,
  sha256?: string,
): string {
  const namespace = supplier !== undefined && /^[a-z0-9-]+$/.test(supplier) ? supplier : undefined;
  return formatPurl({ type: 'generic', namespace, name, version, sha256 });
}

/** MODULE_LICENSE has words of its own: "GPL" leaves open which versions, so SPDX has no name for it. */
function licenceOf(
  said: Said,
  elf: Elf,
): { readonly expression?: string; readonly others: readonly OtherLicence[] } {
  if (said.licence !== undefined) return { expression: said.licence, others: [] };
  const texts = elf.module?.licences ?? [];
  if (texts.length === 0) return { others: [] };
  const others: OtherLicence[] = [];
  const names = texts.map((text) => {
    if (isLicence(text)) return text;
    const id = `LicenseRef-modinfo-${idText(text)}`;
    others.push({ id, text: `MODULE_LICENSE("${text}")` });
    return id;
  });
  return { expression: [...new Set(names)].join(' AND '), others };
}

/** As an identifier may be written; what may not stand in one is told by its number. */
function idText(text: string): string {
  return text.replace(/[^A-Za-z0-9.-]/gu, (char) => `-${char.codePointAt(0)?.toString(16)}-`);
}

/** The kernel that a module was built for: the first word of vermagic is its release. */
function kernelOf({ module }: Elf): Component[] {
  const release = module?.vermagic?.split(' ')[0];
  if (release === undefined || release === '') return [];
  return [
    {
      id: `Kernel-${idText(release)}`,
      name: 'linux',
      version: release,
      purpose: 'operating-system',
      facts: [],
      needs: [],
    },
  ];
}

const needed = (kind: string, purpose: Component['purpose'], name: string): Component => ({
  id: `${kind}-${idText(name)}`,
  name,
  purpose,
  facts: [],
  needs: [],
});

function modulesOf({ module }: Elf): Component[] {
  return (module?.depends ?? []).map((name) => needed('Module', 'device-driver', name));
}

function librariesOf({ libraries }: Elf): Component[] {
  return [...new Set(libraries)].map((name) => needed('Library', 'library', name));
}

function factsOf(elf: Elf): [string, string][] {
  const { module } = elf;
  const all: [string, string | undefined][] = [
    ['elf', `${elf.kind}, ${elf.bits} bits, ${elf.byteOrder} endian, ${elf.machine}`],
    ['build id', elf.buildId],
    ['vermagic', module?.vermagic],
    ['srcversion', module?.srcversion],
    ['module aliases', module?.aliases.join(' ')],
    ['undefined symbols', elf.symbols.join(' ')],
  ];
  return all.filter((fact): fact is [string, string] => fact[1] !== undefined && fact[1] !== '');
}

/** Whoever signed, on a line. */
export function signerText(id: SignerId): string {
  return 'keyId' in id ? `key ${id.keyId}` : `${id.issuer}, serial ${id.serial}`;
}

export function signatureFacts(
  signers: readonly ModuleSigner[],
  moduleSha256: string,
  blockSha256: string,
): [string, string][] {
  return [
    ...signers.map(({ id, digest }): [string, string] => [
      'module signature',
      `by ${signerText(id)}, ${digest}`,
    ]),
    ['module signature, sha256', blockSha256],
    ['module without signature, sha256', moduleSha256],
  ];
}
