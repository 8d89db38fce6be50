/** All campaigns. */
import type { Campaign } from "./campaign.ts";
import { faults } from "./faults.ts";

export const campaigns: readonly Campaign[] = [faults];
