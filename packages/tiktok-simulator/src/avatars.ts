/**
 * Pictures: drawn here, one colour and expression per person, behind signed links that die. TikTok's own are JPEG.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { crc32, deflateSync } from 'node:zlib'
import type { Call } from './faults.ts'
import type { Person } from './person.ts'
import { type Answer, json, type Request } from './wire.ts'
import type { World } from './world.ts'

export type AvatarSize = 100 | 200 | 400

const route = /^\/avatars\/([a-z0-9_-]+)\/(100|200|400)\.png$/
const signingKey = randomBytes(32)
const drawn = new Map<string, Buffer>()

export function avatarUrl(world: World, origin: string, person: Person, size: AvatarSize): string {
  const path = `/avatars/${person.id}/${size}.png`
  const expires = String(Math.floor(world.clock.now() / 1000) + world.settings.avatar_seconds)
  return `${origin}${path}?client_key=${world.settings.client_key}&x-expires=${expires}&x-signature=${sign(path, expires)}`
}

export function avatarCall(world: World, request: Request): Call | undefined {
  const [, id, size] = route.exec(request.path) ?? []
  const person = world.people.find(id ?? '')
  if (!person) return undefined
  return { shape: 'plain', routes: ['avatar'], subject: { person }, process: () => avatar(world, request, person, Number(size)) }
}

function avatar(world: World, request: Request, person: Person, size: number): Answer {
  const expires = request.query.get('x-expires') ?? ''
  const signed = request.query.get('x-signature') === sign(request.path, expires)
  if (!signed || world.clock.now() >= Number(expires) * 1000) {
    world.stats.count('avatars_refused')
    return json(403, { message: 'URL signature expired' })
  }
  world.stats.count('avatars')
  const key = `${person.hue}:${size}`
  const image = drawn.get(key) ?? drawFace(person.hue, size)
  drawn.set(key, image)
  return { status: 200, headers: { 'content-type': 'image/png', 'cache-control': 'public, max-age=3600' }, body: image }
}

function sign(path: string, expires: string): string {
  return createHmac('sha256', signingKey).update(`${path}?${expires}`).digest('base64url')
}

type Colour = readonly [red: number, green: number, blue: number]

function drawFace(hue: number, size: number): Buffer {
  const ground = colour(hue, 0.55, 0.52)
  const skin = colour((hue * 7) % 45, 0.45, 0.3 + ((hue * 13) % 50) / 100)
  const hair = colour((hue + 160) % 360, 0.35, 0.22)
  const shirt = colour((hue + 40) % 360, 0.5, 0.35)
  const ink: Colour = [35, 28, 34]
  const curve = (0.3 + (hue % 4)) / 28 // how wide they smile

  // Coordinates run from -1 to 1, so that every size shows the same face.
  const paint = (x: number, y: number): Colour => {
    if (inEllipse(x, y, -0.17, -0.08, 0.05, 0.07) || inEllipse(x, y, 0.17, -0.08, 0.05, 0.07)) return ink
    const mouth = 0.2 + curve * (1 - (x / 0.2) ** 2)
    if (Math.abs(x) < 0.2 && Math.abs(y - mouth) < 0.025) return ink
    if (inEllipse(x, y, 0, 0, 0.43, 0.52) && y > -0.3 + 0.12 * Math.sin(x * (3 + (hue % 4)) + hue)) return skin
    if (inEllipse(x, y, 0, -0.12, 0.52, 0.55) && y < (hue % 3) * 0.22 - 0.05) return hair
    if (inEllipse(x, y, 0, 0.5, 0.16, 0.22)) return skin
    if (inEllipse(x, y, 0, 1.05, 0.72, 0.48)) return shirt
    return ground
  }
  return png(size, (column, row) => paint((2 * column + 1) / size - 1, (2 * row + 1) / size - 1))
}

function inEllipse(x: number, y: number, centreX: number, centreY: number, radiusX: number, radiusY: number): boolean {
  return ((x - centreX) / radiusX) ** 2 + ((y - centreY) / radiusY) ** 2 < 1
}

/** From hue in degrees, saturation and lightness. */
function colour(hue: number, saturation: number, lightness: number): Colour {
  const channel = (shift: number) => {
    const k = (shift + hue / 30) % 12
    const amount = lightness - saturation * Math.min(lightness, 1 - lightness) * Math.max(-1, Math.min(k - 3, 9 - k, 1))
    return Math.round(amount * 255)
  }
  return [channel(0), channel(8), channel(4)]
}

/** A true-colour PNG of one square: signature, header, pixels, end. */
function png(size: number, pixel: (column: number, row: number) => Colour): Buffer {
  const lineBytes = 1 + size * 3
  const raw = Buffer.alloc(lineBytes * size) // each line starts with its filter: 0, none
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) raw.set(pixel(column, row), row * lineBytes + 1 + column * 3)
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(size, 0)
  header.writeUInt32BE(size, 4)
  header.set([8, 2, 0, 0, 0], 8) // eight bits a channel, RGB
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(raw)), chunk('IEND', Buffer.alloc(0))])
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const frame = Buffer.alloc(body.length + 8)
  frame.writeUInt32BE(data.length, 0)
  body.copy(frame, 4)
  frame.writeUInt32BE(crc32(body), body.length + 4)
  return frame
}
