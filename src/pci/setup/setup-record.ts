/** A set-up for use without root, as its files record it. */

/** A function that the set-up is for. */
export interface SetupFunction {
  /** Canonical: 0000:00:09.0. */
  readonly address: string;
  readonly vendor: number;
  readonly device: number;
}

export interface Setup {
  readonly functions: readonly SetupFunction[];
  /** The group whose members may bind, open and release them. */
  readonly group: string;
  /** How much memory each process of a member may pin for DMA, in MiB. */
  readonly memlockMib: number;
  /** 2 MiB pages (the machine's default size) to reserve; null if that is left as it is. */
  readonly hugepages: number | null;
  /** Whether the functions go to VFIO whenever they appear. */
  readonly bindAtBoot: boolean;
  /** What a removal puts back. */
  readonly before: {
    readonly groupExisted: boolean;
    /** Reserved pages; null if they were left as they were. */
    readonly hugepages: number | null;
  };
}
