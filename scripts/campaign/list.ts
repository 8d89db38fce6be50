/** All campaigns. */
import { type Campaign, campaign } from "./campaign.ts";
import { faults } from "./faults.ts";
import { soak, soakGuests } from "./soak.ts";

export const campaigns: readonly Campaign[] = [faults, campaign(soak), campaign(soakGuests)];
