// A whole Minecraft server: node squid.js <version>; says its port once it listens.
const squid = require('flying-squid')

// It writes a prompt and a log of its own, which are nobody's to read here.
const say = process.stdout.write.bind(process.stdout)
process.stdout.write = () => true

const settings = {
  motd: '§6A §lreal§r world',
  port: 0,
  'max-players': 20,
  'online-mode': false,
  logging: false,
  gameMode: 1,
  difficulty: 0,
  worldFolder: undefined,
  generation: { name: 'superflat', options: {} },
  kickTimeout: 10000,
  plugins: {},
  modpe: false,
  'view-distance': 2,
  'player-list-text': { header: '', footer: '' },
  'everybody-op': false,
  'max-entities': 10,
  version: process.argv[2]
}
const server = squid.createMCServer(settings)
const said = (what) => say(JSON.stringify(what) + '\n')
server._server.on('listening', () => said({ port: server._server.socketServer.address().port }))
server.on('error', (error) => said({ error: String(error) }))
