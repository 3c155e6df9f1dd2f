/** What is measured on: repositories by real ceremonies, with vendors by real admissions. */

import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { admit, ceremony, submitCeremony } from '../../scripts/demo/honest.ts';
import { makeScene, type Scene } from '../../scripts/demo/scene.ts';
import { must } from '../../scripts/demo/support/programs.ts';

/** Vendors that publish side by side, besides `acme`. */
export const BESIDE = Array.from({ length: 8 }, (_, i) => `vendor-${i + 1}`);

/** A scene whose repository is set up, with no service running. */
export async function makePlaces(): Promise<Scene> {
  const scene = await makeScene();
  await ceremony(scene);
  await submitCeremony(scene);
  await admit(scene, 'acme');
  // Nobody else's hardware: two vendors of one device must be meant.
  for (const [i, vendor] of BESIDE.entries()) await admit(scene, vendor, `PCI:0x1234:0x200${i}`);
  return scene;
}

/** A repository, and a vendor of it that remembers this one only. */
export interface Place {
  readonly repository: string;
  readonly vendor: string;
  /** The root that the vendor pins. */
  readonly root: string;
}

/** Copies of both, which go their own way from here on. */
export async function placeOf(scene: Scene, name: string): Promise<Place> {
  const repository = join(scene.folder, name);
  const vendor = join(scene.folder, `${name}-vendor`);
  await cp(scene.repository, repository, { recursive: true });
  await cp(scene.vendor('acme'), vendor, { recursive: true });
  return { repository, vendor, root: join(scene.operator, 'signed', '1.root.json') };
}

/** Every file of the tree verified again; throws what `fsck` finds. */
export async function demandSound(repository: string): Promise<void> {
  await must('ironport-repo', ['fsck', '--dir', repository]);
}
