/** A hostile front: a plain program, as text, for the machine's Node. */

export interface Tried {
  readonly what: string;
  /** What it was refused by; `nothing` where the connection was closed without a byte. */
  readonly code: string;
  readonly isGood: boolean;
}

/** Is told in its argument where to attack; writes a line for each attempt. */
export const HOSTILE = `
const net = require('node:net');
const fs = require('node:fs');
const { join } = require('node:path');
const { execFileSync } = require('node:child_process');
const { socket: SOCKET, spool, name, device, devices, entries } = JSON.parse(process.argv[1]);

const frame = (text) => {
  const bytes = Buffer.from(text);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes.length);
  return Buffer.concat([head, bytes]);
};
const request = (command, words = [], options = {}) =>
  JSON.stringify({ schema: 'ironport-agent.request/v1', command, arguments: words, options });
/** Sends bytes, and perhaps its end; answers with the code of the refusal. */
const send = (bytes, ends = false) => new Promise((done) => {
  const socket = net.createConnection(SOCKET);
  let got = Buffer.alloc(0);
  socket.on('connect', () => (ends ? socket.end(bytes) : socket.write(bytes)));
  socket.on('data', (piece) => (got = Buffer.concat([got, piece])));
  socket.on('error', () => {});
  socket.on('close', () => {
    if (got.length === 0) return done('nothing');
    const { document } = JSON.parse(got.subarray(4));
    done(document.ok ? 'ok' : document.error.code);
  });
});
const tell = (what, code, expected) =>
  console.log(JSON.stringify({ what, code, isGood: expected.test(code) }));
const attempt = async (what, text, expected, ends) =>
  tell(what, await send(typeof text === 'string' ? frame(text) : text, ends), expected);
const tryTo = (act) => { try { act(); } catch {} };

(async () => {
  const FORM = /^E_(JSON|SCHEMA|NAME|USAGE|TOO_LARGE)$/;
  const good = request('status');
  for (const [what, text] of [
    ['nested', '['.repeat(8000)],
    ['a key twice', good.replace('"command"', '"command":"status","command"')],
    ['another field', good.replace('"options"', '"state":"/etc","options"')],
    ['recover', request('recover')],
    ['audit export', request('audit export')],
    ['quarantine enforce', request('quarantine enforce')],
    ['by force', request('quarantine enter', [], { device, reason: 'x', force: true })],
    ['the tomb', request('quarantine enter', [], { device, reason: 'x', level: 'tomb' })],
    ['a state', request('apply', [name], { device, state: '/tmp' })],
    ['a policy', request('apply', [name], { device, policy: '/etc/passwd' })],
    ['a tree', request('apply', [name], { device, 'sysfs-root': '/tmp' })],
    ['a control group', request('apply', [name], { device, cgroup: '/tmp' })],
    ['a root', request('accept', ['edu'], { root: '/etc/passwd' })],
    ['keys', request('policy accept', ['edu'], { 'fleet-keys': '/etc/passwd' })],
    ['a path', request('accept', ['/etc'])],
    ['a path upwards', request('accept', ['../spool'])],
    ['a device that is none', request('release', [], { device: '../../..' })],
    ['a driver that is none', request('apply', ['../../etc/passwd'], { device })],
  ]) await attempt(what, text, FORM);

  const NONE = /^nothing$/;
  await attempt('half a length', Buffer.from([0, 0]), NONE, true);
  await attempt('half a message', frame(good).subarray(0, 30), NONE, true);
  await attempt('a huge length', Buffer.from([255, 255, 255, 255]), NONE);
  await attempt('two messages', Buffer.concat([frame(good), frame(good)]), NONE);

  // Replays of what was good, and what was never good.
  await attempt('the same request', request('apply', [name], { device }), /^E_NOTHING_TO_DO$/);
  await attempt('held once more', request('apply', [name], { device, hold: true }), /^E_(CONFLICT|NOTHING_TO_DO)$/);
  await attempt('run', request('apply', [name], { device, run: true }), /^E_CONFIG$/);
  for (const other of devices)
    await attempt('device ' + other, request('apply', [name], { device: other }), /^E_/);
  for (const other of devices)
    await attempt('into quarantine ' + other, request('quarantine enter', [], { device: other, reason: 'x' }), /^E_NOT_AUTHORISED$/);
  if (entries.length > 0) {
    await attempt('an old policy', request('policy accept', [entries[0]]), /^E_ROLLBACK$/);
    const { payload, payloadType } = JSON.parse(fs.readFileSync(join(spool, entries[0])));
    const sig = Buffer.alloc(64, 1).toString('base64');
    fs.writeFileSync(join(spool, 'forged.json'), JSON.stringify({ payload, payloadType, signatures: [{ sig }] }));
    await attempt('a forged policy', request('policy accept', ['forged.json']), /^E_SIGNATURE$/);
    const type = 'application/vnd.ironport.quarantine-release+json';
    fs.writeFileSync(join(spool, 'release.json'), JSON.stringify({ payload, payloadType: type, signatures: [{ sig }] }));
    await attempt('a forged release', request('quarantine release', ['release.json']), /^E_SIGNATURE$/);
    await attempt('a policy as a release', request('quarantine release', [entries[0]]), /^E_NOT_RELEASED$/);
    const OTHER = /^E_(IO|NOT_FOUND|JSON|SCHEMA|TOO_LARGE)$/;
    tryTo(() => fs.symlinkSync('/etc', join(spool, 'link')));
    tryTo(() => fs.symlinkSync('/dev/zero', join(spool, 'zero')));
    tryTo(() => execFileSync('/bin/busybox', ['mkfifo', join(spool, 'pipe')]));
    tryTo(() => fs.mkdirSync(join(spool, 'folder')));
    tryTo(() => execFileSync('/bin/busybox', ['mkfifo', join(spool, 'folder', 'record.json')]));
    for (const entry of ['link', 'zero', 'pipe', 'folder', 'missing'])
      for (const command of ['accept', 'notice', 'policy accept', 'quarantine release'])
        await attempt(command + ' of ' + entry, request(command, [entry]), OTHER);
  }
  // Slow ones hold their own places; a flood is refused.
  const slow = Array.from({ length: 8 }, () => net.createConnection(SOCKET));
  for (const socket of slow) socket.on('error', () => {});
  for (const socket of slow) socket.write('x');
  const flood = await Promise.all(Array.from({ length: 200 }, () => send(frame(request('release', [], { device: '0000:ff:1f.7' })))));
  const isFine = flood.every((code) => ['nothing', 'E_NOT_FOUND', 'E_TRY_AGAIN'].includes(code));
  tell('a flood', isFine ? 'refused' : flood.join(' '), /^refused$/);
  for (const socket of slow) socket.destroy();
})();
`;
