/** What a case is. */

export type Backend = 'iommufd' | 'container';
export type KernelKind = 'lab' | 'stock';

export interface LabCase {
  readonly name: string;
  /** What it shows, in a sentence. */
  readonly title: string;
  /** Kernels on which it means something; both when left out. */
  readonly kernels?: readonly KernelKind[];
  /** Runs once for each backend that the kernel has, with it in the name. */
  readonly eachBackend?: boolean;
  /** Other cases stand on it: it also runs when only others are asked for. */
  readonly isGround?: boolean;
  /** It needs nothing that others made, and when only such cases are asked for, nothing else runs. */
  readonly standsAlone?: boolean;
  /** The boot in which it runs: 2 comes after the power was cut, on the same state. */
  readonly boot?: 1 | 2;
  readonly limitSeconds?: number;
  run(lab: Lab): Promise<void>;
}

/** What is said with this in front is a figure: shown also when the case passed. */
export const FIGURE = 'figure: ';

/** What the machine offers to a case. */
export interface Lab {
  readonly kernel: KernelKind;
  /** The backend to use; for a case without one, what the host would choose. */
  readonly backend: Backend;
  /** Says something that is shown when the case fails, or when everything is shown. */
  say(text: string): void;
  /** Asks QEMU's monitor. */
  monitor(command: string): Promise<string>;
  /** Has the power cut; does not return. */
  cut(): Promise<never>;
}

/** Backends of a kernel, the one that is chosen first at the front. */
export const BACKENDS: Readonly<Record<KernelKind, readonly Backend[]>> = {
  lab: ['iommufd', 'container'],
  stock: ['container'],
};
