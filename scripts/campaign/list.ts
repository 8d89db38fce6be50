/** All campaigns. */
import type { Campaign } from "./campaign.ts";
import { client } from "./client.ts";
import { faults } from "./faults.ts";
import { server } from "./server.ts";

export const campaigns: readonly Campaign[] = [faults, server, client];
