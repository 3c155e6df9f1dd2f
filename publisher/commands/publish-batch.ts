/** `publish-batch`: many artifacts at once, in one version of the own role or of its bins. */

import { dirname, isAbsolute, join } from 'node:path';
import type { CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { PUBLISHER_LIMITS } from '../../shared/limits.ts';
import { readJsonFile } from '../../shared/node/files.ts';
import { countOf, waitingData, waitingText } from '../co-sign.ts';
import { type Ceilings, type Claim, loadSaid, type Said } from '../evidence.ts';
import { publishClaims } from '../publish-claims.ts';
import { floorsOf, loadRelease, RELEASE_OPTIONS } from '../release.ts';
import { REPOSITORY_OPTION, ROOT_OPTION, type Session, withSession } from '../session.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';

const SCHEMA = 'ironport.artifact-list/v1';

export const publishBatch: CommandSpec = {
  name: 'publish-batch',
  summary: 'attest, sign and publish many artifacts together',
  description:
    'LIST is JSON: {"schema": "ironport.artifact-list/v1", "artifacts": [{"file", "product", "version", "ceiling", "provenance", "as", "sbom", "test_results", "release", "module_certificates"}]}; all after "ceiling" may be left out, they say what the options of `publish` do ("test_results" and "module_certificates" are lists), and paths are relative to LIST. All of it becomes visible at one instant, or nothing does.',
  arguments: [{ name: 'list', description: 'the list of artifacts' }],
  options: [...RELEASE_OPTIONS, REPOSITORY_OPTION, DIR_OPTION, ROOT_OPTION, PASSPHRASE_OPTION],
  examples: ['ironport publish-batch artifacts.json --repository http://127.0.0.1:8080 --dir acme'],
  schema: 'ironport/publish-batch/v1',
  run: (context) => withSession(context, publishList),
};

async function publishList(session: Session): Promise<CommandResult> {
  const { context, config } = session;
  const claims: Claim[] = [];
  const ceilings: Ceilings = new Map();
  for (const said of await loadList(context.args[0] as string))
    claims.push(await loadSaid(context, config, said, ceilings));
  const { made, signed, published, waiting } = await publishClaims(
    session,
    claims,
    await loadRelease(context),
    floorsOf(context, claims),
  );
  const data = {
    artifacts: made.map(({ claim, measured }) => ({ path: claim.path, ...measured })),
    targets: made.reduce((sum, { attested }) => sum + attested.entries.size, 0),
    role: config.vendor,
    version: signed.own?.role.version ?? null,
    bins: signed.bins.map(({ role, version }) => ({ role, version })),
    nested: signed.nested.map(({ role, version }) => ({ role, version })),
  };
  if (waiting !== undefined)
    return {
      data: { ...data, ...waitingData(waiting) },
      text: [waitingText(waiting, countOf(signed)), 'all bytes are uploaded'].join('\n'),
    };
  if (published === undefined) throw new IronError('E_INTERNAL', 'neither published nor waiting');
  return {
    data: {
      ...data,
      published: true,
      snapshot: published.snapshot,
      timestamp: published.timestamp,
    },
    text: `${made.length} artifacts are published, ${data.targets} targets in all, in snapshot ${published.snapshot}`,
  };
}

/** The lines of a list. `E_SCHEMA`, `E_NOT_FOUND`, `E_USAGE` when it is empty. */
async function loadList(path: string): Promise<Said[]> {
  const node = new Node(await readJsonFile(path, PUBLISHER_LIMITS.list), path);
  node.only('schema', 'artifacts').get('schema').oneOf(SCHEMA);
  const items = node.get('artifacts').items(PUBLISHER_LIMITS.artifacts);
  if (items.length === 0)
    throw new IronError('E_USAGE', `${path} lists no artifact`, { hint: 'nothing was signed' });
  const place = (text: string): string => (isAbsolute(text) ? text : join(dirname(path), text));
  return items.map((item) => readLine(item, place));
}

const LINE = [
  ...['file', 'product', 'version', 'ceiling', 'provenance', 'as'],
  ...['sbom', 'test_results', 'release', 'module_certificates'],
];

function readLine(item: Node, place: (text: string) => string): Said {
  item.only(...LINE);
  const file = (key: string): string | undefined => {
    const text = item.maybe(key)?.string();
    return text === undefined ? undefined : place(text);
  };
  const files = (key: string): string[] =>
    (item.maybe(key)?.items(PUBLISHER_LIMITS.stated) ?? []).map((one) => place(one.string()));
  return {
    file: place(item.get('file').string()),
    product: item.get('product').string(),
    version: item.get('version').string(),
    ceiling: place(item.get('ceiling').string()),
    provenance: file('provenance'),
    as: item.maybe('as')?.string(),
    stated: {
      sbom: file('sbom'),
      testResults: files('test_results'),
      release: item.maybe('release')?.string(),
      moduleCertificates: files('module_certificates'),
    },
  };
}
