/** All campaigns. */
import type { Campaign } from "./campaign.ts";

export const campaigns: readonly Campaign[] = [];
