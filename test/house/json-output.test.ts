/**
 * The `--json` documents are a contract: the page promises every schema, and a run of the honest
 * way shows fields of the names and types that are noted in json-golden.json and on the page.
 * `IRONPORT_WRITE_GOLDEN=1` notes them anew; then the page, and perhaps a version, must follow.
 */

import { readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { program as agent } from '../../agent/main.ts';
import { program as client } from '../../client/main.ts';
import { program as publisher } from '../../publisher/main.ts';
import { makeScene, type Scene } from '../../scripts/demo/scene.ts';
import {
  type Document,
  must,
  type Program,
  readers,
  run,
} from '../../scripts/demo/support/programs.ts';
import { program as server } from '../../server/main.ts';
import { differences, readSections } from './json-page.ts';
import { manifestFiles, theWholeWay } from './json-scene.ts';
import { type Shape, shapeOf } from './json-shapes.ts';

t.setTimeout(880_000);

interface Golden {
  readonly data: Readonly<Record<string, Shape>>;
  readonly errors: Readonly<Record<string, { code: string; exit: number; document: Shape }>>;
}

const GOLDEN = new URL('json-golden.json', import.meta.url);
const PAGE = new URL('../../docs/reference/json-output.md', import.meta.url);
const PROGRAMS = [publisher, server, client, agent];

/** They serve until they are stopped; the lines of a log differ by event; one needs root. */
const NOT_RUN = [
  'ironport-repo/serve/v1',
  'ironport-repo/serve-static/v1',
  'ironport-repo/start/v1',
  'ironport-agent/helper/v1',
  'ironport-agent/front/v1',
  'ironport-agent/audit-tail/v1',
  'ironport-agent/check-sandbox/v1',
];

const sections = readSections(readFileSync(PAGE, 'utf8'));
const specs = PROGRAMS.flatMap((program) =>
  program.commands.map((command) => ({ program: program.name, command })),
);

t.test('every command has a section and every section a command, in their order', async (t) => {
  const names: readonly string[] = PROGRAMS.map(({ name }) => name);
  t.strictSame(
    sections
      .filter(({ chapter }) => names.includes(chapter))
      .map(({ heading, schema }) => [heading, schema]),
    specs.map(({ program, command }) => [`${program} ${command.name}`, command.schema]),
  );
  for (const { heading, rows } of sections) t.ok(rows.length > 0, `${heading} has fields`);
});

t.test('a schema is named after its command', async (t) => {
  for (const { program, command } of specs)
    t.equal(command.schema, `${program}/${command.name.replace(' ', '-')}/v1`);
});

t.test('what the honest way prints is what was noted, and what the page says', async (t) => {
  const scene = await makeScene();
  const documents = new Map<string, unknown[]>();
  const note = (document: Document): void => {
    t.strictSame(Object.keys(document), ['schema', 'ok', 'data'], `envelope ${document.schema}`);
    documents.set(document.schema, [...(documents.get(document.schema) ?? []), document.data]);
  };
  readers.add(note);
  t.teardown(async () => {
    readers.delete(note);
    await scene.service?.stop();
    await rm(scene.folder, { recursive: true, force: true });
  });
  await theWholeWay(scene);
  for (const args of [['completion', 'bash'], ['--help'], ['--version']])
    await must('ironport', args);
  documents.set('ironport-agent/manifest-encode/v1', [await encodeAndDecode(scene)]);
  readers.delete(note);

  const seen: Golden = {
    data: Object.fromEntries(
      Array.from(documents, ([schema, all]): [string, Shape] => [schema, shapeOf(...all)]).sort(
        ([a], [b]) => (a < b ? -1 : 1),
      ),
    ),
    errors: Object.fromEntries([
      await failure('ironport-client', [
        ...[scene.service?.url ?? '', 'refresh', '--store', join(scene.folder, 'no-store')],
      ]),
      await failure('ironport-client', ['no-such-command']),
      await failure('ironport', ['init', '--no-such-option']),
    ]),
  };
  if (process.env.IRONPORT_WRITE_GOLDEN === '1')
    await writeFile(GOLDEN, `${JSON.stringify(seen, null, 2)}\n`);
  const golden = JSON.parse(readFileSync(GOLDEN, 'utf8')) as Golden;
  t.strictSame(seen, golden);

  const expected = specs.map(({ command }) => command.schema).filter((s) => !NOT_RUN.includes(s));
  t.strictSame(
    expected.filter((schema) => !documents.has(schema)),
    [],
    'no command is left out in silence',
  );
  for (const [schema, shape] of Object.entries(seen.data)) {
    const section =
      sections.find((one) => one.schema === schema) ??
      sections.find((one) => one.schema === schema.replace(/^[^/]+/, 'PROGRAM'));
    if (section === undefined) t.fail(`the page has no ${schema}`);
    else t.strictSame(differences(shape, section, sections), [], schema);
  }
  const error = sections.find(({ heading }) => heading === 'error');
  for (const { document } of Object.values(seen.errors))
    t.strictSame(error && differences(document, error, sections), [], 'an error is as promised');
});

/** The one bare document, and back from it. */
async function encodeAndDecode(scene: Scene): Promise<unknown> {
  const { json, blob } = await manifestFiles(scene);
  const { stdout } = await run('ironport-agent', ['manifest', 'encode', json, '--json']);
  const bare = JSON.parse(stdout) as { ism2: string };
  await writeFile(blob, bare.ism2);
  await must('ironport-agent', ['manifest', 'decode', '--lenient', blob]);
  return bare;
}

/** A command that must fail: the schema of its document, and what is noted of it. */
async function failure(
  program: Program,
  args: readonly string[],
): Promise<[string, Golden['errors'][string]]> {
  const { exit, stdout } = await run(program, [...args, '--json']);
  const document = JSON.parse(stdout) as Document;
  t.strictSame(Object.keys(document), ['schema', 'ok', 'error'], `envelope of ${args.join(' ')}`);
  if (document.ok || document.error === undefined) throw new Error('it did not fail');
  const { error } = document;
  return [document.schema, { code: error.code, exit, document: shapeOf(error) }];
}
