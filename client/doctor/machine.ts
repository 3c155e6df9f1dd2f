/** What surrounds a store: its folder, its disk, its clock, other processes, the repository. */

import { access, chmod, constants, lstat, readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { getuid } from 'node:process';
import { isIronError } from '../../shared/errors.ts';
import { store as layout, tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { takeLock } from '../../shared/node/lock.ts';
import { formatInstant, formatSpan } from '../../shared/time.ts';
import type { Repository } from '../repository.ts';
import { readStatus } from '../status.ts';
import { type Finding, fromError, ok } from './finding.ts';

const MIB = 1024 * 1024;
/** A refresh with the largest files that are allowed, and room to write each beside the old one. */
const ROOM = 32 * MIB;

export async function lookAtFolder({ store }: Repository): Promise<Finding[]> {
  const { folder } = store;
  const found = await lstat(folder).catch(() => undefined);
  if (found === undefined) {
    const advice = 'pin a root: `ironport-client ADDRESS init --root FILE`';
    return [{ state: 'broken', subject: 'folder', what: `${folder} does not exist`, advice }];
  }
  const findings: Finding[] = [];
  const uid = getuid?.();
  if (!found.isDirectory() || (uid !== undefined && found.uid !== uid)) {
    const what = found.isDirectory() ? 'belongs to another user' : 'is not a folder';
    const advice = 'run as its owner, or name another folder with --store';
    return [{ state: 'broken', subject: 'folder', what: `${folder} ${what}`, advice }];
  }
  if ((found.mode & 0o077) !== 0) {
    findings.push({
      state: 'heals',
      subject: 'folder',
      what: `others can enter ${folder}`,
      advice: 'the next refresh closes it; --repair does so now',
      repair: () => chmod(folder, 0o700),
    });
  }
  const isWritable = await access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!isWritable) {
    const advice = 'what is stored can be used with --offline; to refresh, make it writable';
    findings.push({ state: 'broken', subject: 'folder', what: `${folder} is read-only`, advice });
  }
  if (findings.length === 0) findings.push(ok('folder', folder));
  return [...findings, await lookAtDisk(folder), await lookAtTargets(folder)];
}

async function lookAtDisk(folder: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const what = `${Math.floor(free / MIB)} MiB are free`;
  if (free >= ROOM) return ok('disk', what);
  const advice = 'make room: a refresh that finds none changes nothing and ends with E_NO_SPACE';
  return { state: 'broken', subject: 'disk', what: `only ${what}`, advice };
}

async function lookAtTargets(folder: string): Promise<Finding> {
  const place = join(folder, layout.targetsFolder);
  const names = await readdir(place).catch(() => []);
  let bytes = 0;
  for (const name of names)
    bytes += (await stat(join(place, name)).catch(() => undefined))?.size ?? 0;
  const what = `${names.length} files from bundles, ${Math.ceil(bytes / MIB)} MiB`;
  if (names.length === 0) return ok('targets', 'none are kept');
  return { state: 'note', subject: 'targets', what, advice: `${place} may be removed at any time` };
}

/** Whether another process has the store; asked before anything here takes it. */
export async function lookAtLock({ store }: Repository): Promise<Finding> {
  try {
    (await takeLock(join(store.folder, layout.lock), { purpose: 'doctor' })).release();
    return ok('lock', 'nobody holds it');
  } catch (error) {
    if (!isIronError(error)) throw error;
    return fromError(isIronError(error, 'E_LOCKED') ? 'note' : 'broken', 'lock', error);
  }
}

/** Expiry and the clock, of a store whose trust was found whole. */
export async function lookAtTime(repository: Repository): Promise<Finding[]> {
  try {
    const { roles, now, clockBehind } = await readStatus(repository);
    const expired = roles.filter(({ expires }) => expires <= now);
    return [
      clockBehind === 0
        ? ok('clock', `${formatInstant(now)}, which is believed`)
        : {
            state: 'broken',
            subject: 'clock',
            what: `is ${formatSpan(clockBehind)} behind what this machine knows`,
            advice: `set it; until then expiry is judged by ${formatInstant(now)}`,
          },
      ...expired.map(
        ({ role, version, expires }): Finding => ({
          state: 'note',
          subject: role,
          what: `version ${version} expired ${formatSpan(now - expires)} ago`,
          advice: 'refresh; if that does not help, ask who runs the repository. What runs goes on',
        }),
      ),
    ];
  } catch (error) {
    if (!isIronError(error)) throw error;
    return [fromError('note', 'expiry', error)];
  }
}

/** Whether the repository answers. What it answers is not looked at: that is what refresh is for. */
export async function lookAtRepository({ fetcher, signal }: Repository): Promise<Finding> {
  try {
    const bytes = await fetcher.fetchFile(tree.timestamp, METADATA_LIMITS.timestamp, { signal });
    if (bytes !== undefined) return ok('repository', `${fetcher.origin} answers`);
    const advice = 'check the address: there is a server, and it is not this repository';
    const what = `${fetcher.origin} has no ${tree.timestamp}`;
    return { state: 'broken', subject: 'repository', what, advice };
  } catch (error) {
    if (!isIronError(error)) throw error;
    return fromError('note', 'repository', error);
  }
}
