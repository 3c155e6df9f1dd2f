// Holds the rules of .dependency-cruiser.cjs, and does not believe a silent green: it compares the
// modules that were seen with the *.ts files on disk, because a cruise that cannot read TypeScript
// reports "no violations" over nothing at all.
import { readdirSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { cruise, type ICruiseResult } from 'dependency-cruiser';
import extractOptions from 'dependency-cruiser/config-utl/extract-depcruise-options';

const CONFIG = fileURLToPath(new URL('../.dependency-cruiser.cjs', import.meta.url));
const SKIPPED_FOLDERS = new Set(['node_modules', 'dist', 'coverage', 'repo-data']);

/** Every TypeScript file belongs to one of these; a new room is a decision, and is made here. */
const ROOMS: readonly RegExp[] = [
  /^shared\/(json|errors|bytes|limits|layout|time|crypto|tuf|evidence|manifest|revocation)(\/|\.ts$)/,
  /^shared\/(log|verify|handoff|product|api|node|cli)(\/|\.ts$)/,
  /^(publisher|server|client|agent|web|test|bench|scripts|examples)\//,
];

export interface LayerReport {
  /** How many TypeScript files the cruise saw. */
  readonly seen: number;
  /** One entry for each thing that is wrong; empty when the tree is in order. */
  readonly problems: readonly { readonly rule: string; readonly text: string }[];
}

/**
 * Checks the tree under `root`.
 * @param root absolute or relative path of a folder that holds the rooms
 * @param config absolute path of the rules
 */
export async function checkLayers(root: string, config = CONFIG): Promise<LayerReport> {
  const onDisk = sourcesUnder(root);
  const result = await cruiseTree(root, onDisk, config);
  const seen = new Set(result.modules.map((module) => module.source));

  const violations = result.summary.violations.map(({ rule, from, to, comment, via }) => ({
    rule: rule.name,
    text: `${from} -> ${(via ?? [{ name: to }]).map(({ name }) => name).join(' -> ')}: ${comment}`,
  }));
  const unseen = onDisk
    .filter((file) => !seen.has(file))
    .map((file) => ({ rule: 'every-file-is-seen', text: `${file} was not looked at` }));
  const homeless = onDisk
    .filter((file) => !ROOMS.some((room) => room.test(file)))
    .map((file) => ({ rule: 'every-file-has-a-room', text: `${file} is in no known room` }));
  const empty =
    onDisk.length > 0 ? [] : [{ rule: 'there-is-something', text: `no TypeScript under ${root}` }];

  return {
    seen: onDisk.length - unseen.length,
    problems: [...violations, ...unseen, ...homeless, ...empty],
  };
}

async function cruiseTree(
  root: string,
  onDisk: readonly string[],
  config: string,
): Promise<ICruiseResult> {
  const folders = [...new Set(onDisk.map((file) => file.split('/')[0] ?? file))];
  const options = await extractOptions(config);
  const { enhancedResolveOptions, ...cruiseOptions } = options;
  const { output } = await cruise(
    folders,
    { ...cruiseOptions, validate: true, baseDir: resolve(root) },
    { ...enhancedResolveOptions },
  );
  if (typeof output === 'string') throw new Error('dependency-cruiser gave text, not a result');
  return output;
}

function sourcesUnder(root: string): string[] {
  const found: string[] = [];
  const walk = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.name.startsWith('.') || SKIPPED_FOLDERS.has(entry.name)) continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (/(?<!\.d)\.[cm]?ts$/.test(entry.name)) found.push(path);
    }
  };
  walk(root);
  return found.map((path) => relative(root, path).split(sep).join('/')).sort();
}

// Not import.meta.main: Node 22 has none, and would check nothing and say so to nobody.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { seen, problems } = await checkLayers(process.argv[2] ?? '.');
  for (const { rule, text } of problems) console.error(`${rule}: ${text}`);
  console.log(`layers: ${seen} modules, ${problems.length} problems`);
  if (problems.length > 0) process.exitCode = 1;
}
