// A preload for a replica: TikTok's own hosts are the simulator.
import 'tiktok-simulator/preload'
