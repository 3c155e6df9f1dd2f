/** The guide about audit log, receipts and quarantine, word for word and in its order. */

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chdir, cwd } from 'node:process';
import t from 'tap';
import { program } from '../../agent/main.ts';
import { CODES, type Code } from '../../shared/errors.ts';
import { makeKeyFile } from '../../shared/node/signers/file.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { steps } from '../support/guide.ts';
import { runInProcess } from '../support/program.ts';
import { POLICY, scene } from './support.ts';

const PAGE = 'docs/guide/host-quarantine.md';

/** The words of a line, as a shell that knows double quotes divides it. */
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');

t.test(`every line of ${PAGE}`, async (t) => {
  const page = readFileSync(PAGE, 'utf8');
  const place = await scene(t);
  const at = (name: string): string => join(place.folder, name);
  copyFileSync(POLICY, at('policy.json'));
  const keys = await Promise.all([makeKeyFile('ed25519'), makeKeyFile('ed25519')]);
  for (const [i, { file }] of keys.entries())
    writeFileSync(at(`operator-${i + 1}.json`), file, { mode: 0o600 });
  const list = keys.map(({ key }) => keyObject(key));
  const fleet = { schema: 'ironport.fleet-keys/v1', threshold: 2, keys: list };
  writeFileSync(at('fleet-keys.json'), JSON.stringify(fleet), { mode: 0o644 });
  const home = cwd();
  t.teardown(() => chdir(home));
  chdir(place.folder);
  const env = { IRONPORT_AGENT_STATE: place.state };
  let incident = 'INCIDENT';
  const all = steps(page);
  t.ok(all.length > 15, 'there are lines');
  for (const { line, shown } of all) {
    const [name, ...words] = wordsOf(line.replace('INCIDENT', incident));
    t.equal(name, 'ironport-agent', line);
    const spec = program.commands.find((one) => `${words.join(' ')} `.startsWith(`${one.name} `));
    const takesTree = spec?.options?.some(({ flags }) => flags.startsWith('--sysfs-root'));
    const argv = takesTree === true ? [...words, '--sysfs-root', place.sysfs] : words;
    const { exit, stdout, stderr } = await runInProcess(program, argv, env);
    const printed = stdout + stderr;
    incident = /^incident ([0-9a-f]{32})$/m.exec(printed)?.[1] ?? incident;
    const [, code] = /^error\[(\w+)\]/.exec(shown[0] ?? '') ?? [];
    t.equal(exit, code === undefined ? 0 : CODES[code as Code].exit, line, { printed });
    for (const text of shown) {
      for (const part of text.replace('INCIDENT', incident).split('…'))
        t.ok(printed.includes(part), `${line}\n${text}`, { printed });
    }
  }
});
