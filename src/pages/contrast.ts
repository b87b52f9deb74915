// A brand's colour, made readable: as it is where text in it has a contrast of 4.5:1 (WCAG 2.2, 1.4.3), else darker on light and
// lighter on dark, and no more than it takes.
import { grounds } from './style.ts'

type Rgb = readonly [red: number, green: number, blue: number]

const [black, white]: [Rgb, Rgb] = [
  [0, 0, 0],
  [255, 255, 255],
]
const enough = 4.5

/** What a theme makes of a brand's colour. */
export interface Accent {
  accent: string
  hover: string
  /** text on a button */
  onAccent: string
  /** behind what is chosen or pointed at */
  tint: string
}

/** @param brandColor `#rgb` or `#rrggbb` */
export function accentsOf(brandColor: string): { light: Accent; dark: Accent } {
  return {
    light: accentOn(grounds.light, rgbOf(brandColor), { away: black, onAccent: '#ffffff' }),
    dark: accentOn(grounds.dark, rgbOf(brandColor), { away: white, onAccent: '#10110f' }),
  }
}

/** @param away where the colour is moved to until it can be read: away from the ground */
function accentOn(ground: { ground: string; card: string }, brand: Rgb, { away, onAccent }: { away: Rgb; onAccent: string }) {
  const card = rgbOf(ground.card)
  let accent = brand
  for (let step = 1; step <= 255 && !canRead(accent, [rgbOf(ground.ground), card]); step++) accent = mix(brand, away, step / 255)
  return {
    accent: hexOf(accent),
    hover: hexOf(mix(accent, away, 0.22)),
    onAccent,
    tint: hexOf(mix(card, accent, 0.11)),
  }
}

const canRead = (text: Rgb, grounds: Rgb[]) => grounds.every((ground) => contrast(text, ground) >= enough)

/** `#rgb` as `#rrggbb`, in small letters. */
export const wholeOf = (color: string): string => hexOf(rgbOf(color))

/** The contrast of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio"). */
export function contrastOf(one: string, other: string): number {
  return contrast(rgbOf(one), rgbOf(other))
}

function contrast(one: Rgb, other: Rgb): number {
  const [lighter, darker] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number]
  return (lighter + 0.05) / (darker + 0.05)
}

function luminance([red, green, blue]: Rgb): number {
  const linear = (channel: number) => {
    const share = channel / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  }
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

const mix = (from: Rgb, to: Rgb, share: number): Rgb =>
  from.map((channel, index) => Math.round(channel + ((to[index] ?? 0) - channel) * share)) as unknown as Rgb

function rgbOf(hex: string): Rgb {
  const digits = hex.length === 4 ? hex.slice(1).replace(/./g, '$&$&') : hex.slice(1)
  const value = Number.parseInt(digits, 16)
  return [value >> 16, (value >> 8) & 255, value & 255]
}

const hexOf = (rgb: Rgb): string => `#${rgb.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`
