/** Shows on a terminal that a guest is booting, which takes many silent seconds. */
import { openProgress } from "../cli/progress.ts";

export interface BootProgress {
  begin(): void;
  /** Removes the line; harmless without one. */
  end(): void;
}

export function bootProgress(enabled: boolean): BootProgress {
  let shown: { timer: Timer; end: () => void } | undefined;
  return {
    begin() {
      const startMs = performance.now();
      const { update, end } = openProgress(enabled);
      const show = () =>
        update(() => `the guest is booting, ${Math.round((performance.now() - startMs) / 1000)} s`);
      show();
      shown = { timer: setInterval(show, 1000), end };
    },
    end() {
      clearInterval(shown?.timer);
      shown?.end();
      shown = undefined;
    },
  };
}
