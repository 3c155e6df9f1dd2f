/** The way of one large artifact, each step a process that says what it took. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { agentArgs, clientArgs, EDU } from '../../scripts/demo/honest.ts';
import type { Scene } from '../../scripts/demo/scene.ts';
import { freePort } from '../../scripts/demo/support/port.ts';
import { tree } from '../../shared/layout.ts';
import { type Run, runToEnd, type Started, start } from '../support/measured.ts';

const bin = (name: string): string =>
  fileURLToPath(new URL(`../../bin/${name}.js`, import.meta.url));

export interface Artifact {
  readonly file: string;
  readonly sha256: string;
  /** Where it is published: `acme/edu/1.0.1/large.bin`. */
  readonly path: string;
}

export interface Service {
  readonly url: string;
  /** Ends it; resolves to what it took over its whole life. */
  stop(): Promise<Run>;
}

export async function startService(scene: Pick<Scene, 'repository'>): Promise<Service> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const { child, ended }: Started = start({
    args: [bin('ironport-repo'), `127.0.0.1:${port}`, scene.repository],
  });
  const stop = async (): Promise<Run> => {
    child.kill('SIGTERM');
    return ended;
  };
  // One that makes its index again from a large tree begins to listen when that is done.
  for (let i = 0; i < 12_000; i++) {
    if (child.exitCode !== null) throw new Error((await ended).stderr);
    const isUp = await fetch(`${url}/healthz`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (isUp) return { url, stop };
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  await stop();
  throw new Error(`the repository does not answer on ${url}`);
}

export function publish(scene: Scene, url: string, { file, path }: Artifact): Promise<Run> {
  const [, product, version] = path.split('/') as [string, string, string, string];
  return runToEnd({
    args: [
      ...[bin('ironport'), 'publish', file, '--product', product, '--version', version],
      ...['--ceiling', join(EDU, 'ceiling.json'), '--repository', url, '--json'],
      ...['--dir', scene.vendor('acme'), '--root', join(scene.operator, 'signed', '1.root.json')],
    ],
  });
}

/** What a person would type instead of `get-verified`. */
export async function curlAndSum(scene: Scene, url: string, artifact: Artifact): Promise<Run> {
  const out = join(scene.host, 'by-curl');
  const from = `${url}/${tree.target(artifact.path, artifact.sha256)}`;
  const command = 'curl --silent --show-error --fail --output "$0" "$1" && sha256sum "$0"';
  const run = await runToEnd({ program: 'sh', args: ['-c', command, out, from] });
  if (!run.stdout.startsWith(artifact.sha256)) throw new Error(`curl fetched ${run.stdout}`);
  await rm(out);
  return run;
}

export async function getVerified(scene: Scene, url: string, artifact: Artifact): Promise<Run> {
  const out = join(scene.host, 'by-ironport');
  const run = await runToEnd({
    args: [
      ...[bin('ironport-client'), url, 'get-verified', artifact.path, out, '--json'],
      ...clientArgs(scene),
    ],
  });
  await requireSame(out, artifact);
  await rm(out);
  return run;
}

export const handedOver = (scene: Scene): string => join(scene.folder, 'handed-over');

export function handOff(scene: Scene, url: string, { path }: Artifact): Promise<Run> {
  return runToEnd({
    args: [
      ...[bin('ironport-client'), url, 'handoff', path, handedOver(scene), '--json'],
      ...clientArgs(scene),
    ],
  });
}

export function accept(scene: Scene): Promise<Run> {
  return runToEnd({
    args: [bin('ironport-agent'), 'accept', handedOver(scene), '--json', ...agentArgs(scene)],
  });
}

async function requireSame(out: string, { sha256 }: Artifact): Promise<void> {
  const { stdout } = await runToEnd({ program: 'sha256sum', args: [out] });
  if (!stdout.startsWith(sha256)) throw new Error(`${out} is not what was published`);
}
