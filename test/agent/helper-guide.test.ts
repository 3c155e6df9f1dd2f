/** The guide about helper and front, word for word; and its table of figures, which is what is served. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chdir, cwd } from 'node:process';
import t from 'tap';
import { figuresOf } from '../../agent/front/figures.ts';
import { serveFront } from '../../agent/front/front.ts';
import { program } from '../../agent/main.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { loadFileSigner, makeKeyFile } from '../../shared/node/signers/file.ts';
import { formatInstant } from '../../shared/time.ts';
import { HELPER_PAGE, problems, steps } from '../support/guide.ts';
import { runInProcess } from '../support/program.ts';
import { startHelperFor } from './helper-support.ts';
import { POLICY, scene } from './support.ts';

const PAGE = `docs/guide/${HELPER_PAGE}`;

t.test(`every line of ${PAGE}`, async (t) => {
  const place = await scene(t);
  const at = (name: string): string => join(place.folder, name);
  const expires = formatInstant(systemClock() + 86_400);
  const policy = { ...JSON.parse(readFileSync(POLICY, 'utf8')), version: 1, expires };
  writeFileSync(at('fleet.json'), JSON.stringify(policy));
  const signers: Signer[] = [];
  for (const name of ['operator-1.json', 'operator-2.json']) {
    const { file } = await makeKeyFile('ed25519');
    writeFileSync(at(name), file, { mode: 0o600 });
    signers.push(await loadFileSigner(at(name)));
  }
  const served = await startHelperFor(t, place, signers);
  place.repository.handOver(join(served.spool, 'edu'));
  const people = at('agent.sock');
  const stop = new AbortController();
  const front = await serveFront({ socket: people, helper: served.socket, signal: stop.signal });
  const home = cwd();
  t.teardown(async () => {
    chdir(home);
    stop.abort();
    await front.close();
  });
  const places = { '/run/ironport-front/agent.sock': people, '/var/spool/ironport': served.spool };
  const here = (text: string): string =>
    Object.entries(places).reduce((all, [from, to]) => all.replaceAll(from, to), text);
  const all = steps(readFileSync(PAGE, 'utf8'));
  t.ok(all.length > 9, 'there are lines');
  chdir(place.folder);
  for (const step of all) {
    const [name, ...words] = here(step.line).split(' ');
    t.equal(name, 'ironport-agent', step.line);
    const { exit, stdout, stderr } = await runInProcess(program, words, {});
    const printed = stdout + stderr;
    t.strictSame(problems(step, { exit, printed }), [], step.line, { printed });
  }
});

t.test('the table of figures has what is served, and nothing else', async (t) => {
  const status = { bindings: [{ state: 'x' }], accepted: [], processes: [] };
  const counts = {
    audit_lines: 1,
    gate_refusals: [{ gate: 'in-use', count: 1 }],
    watched: [{ kind: 'leak', decision: 'quarantine', count: 1 }],
    events: [{ event: 'bound', count: 1 }],
    requests: [{ command: 'apply', verdict: 'ok', count: 1 }],
  };
  const text = figuresOf({ status, counts, quarantine: { incidents: [{ level: 'hard' }] } }, 1);
  const names = [...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name);
  const page = readFileSync(PAGE, 'utf8');
  const rows = [...page.matchAll(/^\| `(ironport_agent_\w+)/gm)].map(([, name]) => name);
  t.strictSame(rows.toSorted(), names.toSorted());
  for (const [, target] of page.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g))
    t.ok(existsSync(join('docs/guide', target as string)), `it leads to ${target}`);
});
