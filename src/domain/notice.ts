/** What people were told when they were asked. A material new version makes what was agreed to under an older one lapse. */

/** A published version of the privacy notice. */
export interface Notice {
  version: string
  /** From when on it is the one that is shown, epoch ms. */
  effectiveFrom: number
  /** Whether it changes what people agree to, so that they must be asked again. */
  material: boolean
  /** The purposes it is about; null for all. */
  purposes: readonly string[] | null
  title: string
  text: string
  /** SHA-256 of the text, hex. */
  digest: string
}

/**
 * When a grant lapsed, epoch ms: at the first material notice in force at `now` that is newer than the one the grant
 * was given under. Undefined while it stands. A grant that names no notice was given under the one of its time;
 * one that names a notice nobody published was given under none. `notices` in the order of `effectiveFrom`.
 */
export function lapsedSince (
  notices: readonly Notice[], purposeId: string, { state, since, notice }: { state: string, since: number, notice?: string }, now: number
): number | undefined {
  if (notices.length === 0 || state !== 'granted') return undefined
  const given = notice === undefined
    ? notices.findLastIndex(({ effectiveFrom }) => effectiveFrom <= since)
    : notices.findIndex(({ version }) => version === notice)
  const newer = notices.slice(given + 1).find(({ material, effectiveFrom, purposes }) =>
    material && effectiveFrom <= now && (purposes === null || purposes.includes(purposeId)))
  return newer === undefined ? undefined : Math.max(newer.effectiveFrom, since)
}
