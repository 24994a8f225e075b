/** Which regions' people are taken to agree until they say otherwise: only those that a policy file names. */
import { readFile } from 'node:fs/promises'
import { z } from 'zod'

export type RegionalDefault = (region: string | undefined) => 'granted' | 'denied'

const policyFile = z.strictObject({ regions: z.record(z.string().min(1).max(64), z.enum(['granted', 'denied'])) })

/** An unknown region, and every region where no file is given, is `denied`. @throws an error that names the file */
export async function loadRegionPolicy (file: string | undefined): Promise<RegionalDefault> {
  if (file === undefined) return () => 'denied'
  const content: unknown = await readFile(file, 'utf8').then(text => JSON.parse(text) as unknown).catch((cause: unknown) => {
    throw new Error(`REGION_POLICY_FILE ${file} cannot be read as JSON`, { cause })
  })
  const parsed = policyFile.safeParse(content)
  if (!parsed.success) throw new Error(`REGION_POLICY_FILE ${file} must be {"regions":{"<region>":"granted" or "denied"}}`)
  const regions = new Map(Object.entries(parsed.data.regions))
  return region => region === undefined ? 'denied' : regions.get(region) ?? 'denied'
}
