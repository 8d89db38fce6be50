/** The differences between the two guest architectures: Debian's names, the loader, QEMU's machine. */

import type { DebianArch } from "../debian/archive.ts";

/** The architecture of a guest, as `uname -m` prints it. */
export type Arch = "x86_64" | "aarch64";

export interface ArchFacts {
  /** Debian's name, as in linux-image-6.12.48+deb13-ARCH. */
  debian: DebianArch;
  /** Folder of libraries under usr/lib (Debian's multiarch triplet). */
  triplet: string;
  /** The dynamic loader's path, as programs name it. */
  loader: string;
  /** npm package with Bun for it, without the scope. */
  bunPackage: "bun-linux-x64" | "bun-linux-aarch64";
  qemu: string;
  /** Name of the serial port for the kernel's console. */
  console: string;
  /** QEMU's machine and CPU, and the kernel parameters that they need. */
  machine(choice: MachineChoice): { qemu: string[]; kernel: string[] };
}

export interface MachineChoice {
  accelerator: "kvm" | "tcg";
  iommu: boolean;
  /** Whether one of its devices is served over vfio-user. */
  vfioUser: boolean;
}

/** Above the slots assigned to devices. */
const VIRTIO_IOMMU_SLOT = "0x16";

/** How a guest of each architecture is made: names of packages, QEMU's program and options. */
export const arches: Record<Arch, ArchFacts> = {
  x86_64: {
    debian: "amd64",
    triplet: "x86_64-linux-gnu",
    loader: "/lib64/ld-linux-x86-64.so.2",
    bunPackage: "bun-linux-x64",
    qemu: "qemu-system-x86_64",
    console: "ttyS0",
    machine({ accelerator, iommu }) {
      // With KVM, interrupt remapping needs the IOAPIC in QEMU: "split".
      const irqchip = accelerator === "kvm" && iommu ? ",kernel-irqchip=split" : "";
      return {
        qemu: [
          ...["-M", `q35${irqchip}`, "-cpu", "max"],
          ...(iommu ? ["-device", "intel-iommu,intremap=on,caching-mode=on"] : []),
        ],
        // On a busy machine an emulated timer may fire too late for the kernel's check, which then panics.
        kernel: ["no_timer_check", ...(iommu ? ["intel_iommu=on"] : [])],
      };
    },
  },
  aarch64: {
    debian: "arm64",
    triplet: "aarch64-linux-gnu",
    loader: "/lib/ld-linux-aarch64.so.1",
    bunPackage: "bun-linux-aarch64",
    qemu: "qemu-system-aarch64",
    console: "ttyAMA0",
    machine({ accelerator, iommu, vfioUser }) {
      // Emulated pointer authentication: QARMA5 takes half of the guest's time, and QEMU's own algorithm a tenth.
      const cpu = accelerator === "tcg" ? "max,pauth=off" : "max";
      // QEMU's SMMUv3 does not tell a vfio-user device what the guest maps; virtio-iommu does.
      const smmu = iommu && !vfioUser ? ",iommu=smmuv3" : "";
      return {
        qemu: [
          ...["-M", `virt,gic-version=3${smmu}`, "-cpu", cpu],
          ...(iommu && vfioUser ? ["-device", `virtio-iommu-pci,addr=${VIRTIO_IOMMU_SLOT}`] : []),
        ],
        kernel: [],
      };
    },
  },
};

/** The architecture of this machine; undefined if it is neither of the two. */
export const hostArch: Arch | undefined =
  process.arch === "x64" ? "x86_64" : process.arch === "arm64" ? "aarch64" : undefined;
