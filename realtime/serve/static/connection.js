// The WebRTC connection: camera out, painted picture back, made again when it is lost.

const PAUSES = [1, 2, 4];
// How long an interrupted connection may come back by itself.
const LOST_MS = 3000;
const GATHER_MS = 1000;
const LOOK_EVERY_MS = 50;

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export async function ask(path, token, options = {}) {
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(path, { ...options, headers });
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(content.error ?? `the server answered ${answer.status}`, answer.status);
  return content;
}

export class Connection {
  // `events`: state(name, message), figures(values), picture(stream).
  constructor(stream, token, events) {
    Object.assign(this, { stream, token, events, tries: 0, ended: false, look: null, server: {} });
    this.connect();
    this.clock = setInterval(() => this.measure(), 1000);
  }

  async connect() {
    clearTimeout(this.timer);
    this.drop();
    this.events.state("wait", this.tries ? "Connecting again …" : "Connecting …");
    // No servers: the picture goes to the parser and to nobody else.
    const peer = (this.peer = new RTCPeerConnection({ iceServers: [] }));
    peer.addEventListener("connectionstatechange", () => peer === this.peer && this.changed(peer.connectionState));
    peer.addEventListener("track", ({ receiver, streams }) => {
      // Shown at once: smoothness that costs latency is worth nothing in a mirror.
      receiver.jitterBufferTarget = 0;
      this.events.picture(streams[0]);
    });
    this.openChannel(peer);
    const transceiver = peer.addTransceiver(this.stream.getVideoTracks()[0], { streams: [this.stream] });
    try {
      await peer.setLocalDescription();
      await gathered(peer);
      const answer = await ask("offer", this.token, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ type: "offer", sdp: peer.localDescription.sdp }),
      });
      if (peer !== this.peer) return;
      await peer.setRemoteDescription({ type: "answer", sdp: startingFast(answer.sdp) });
      await keepSize(transceiver.sender);
    } catch (error) {
      if (peer === this.peer) this.failed(error);
    }
  }

  openChannel(peer) {
    const channel = (this.channel = peer.createDataChannel("look"));
    channel.addEventListener("open", () => this.look && channel.send(this.look));
    channel.addEventListener("message", ({ data }) => {
      const content = JSON.parse(data);
      if (content.error) this.events.state("bad", content.error);
      else this.server = content;
    });
  }

  changed(state) {
    if (this.ended) return;
    clearTimeout(this.timer);
    if (state === "connected") {
      this.tries = 0;
      this.events.state("on", "Live");
    } else if (state === "disconnected") {
      this.timer = setTimeout(() => this.failed(new Error("The connection was lost.")), LOST_MS);
    } else if (state === "failed" || state === "closed") {
      this.failed(new Error("The connection was lost."));
    }
  }

  failed(error) {
    if (this.ended) return;
    this.drop();
    if (error.status && error.status !== 503) {
      this.end();
      this.events.state("bad", error.message, error.status);
      return;
    }
    const pause = PAUSES[Math.min(this.tries++, PAUSES.length - 1)];
    const why = error.status ? `${error.message[0].toUpperCase()}${error.message.slice(1)}.` : "The parser can't be reached.";
    this.events.state("wait", `${why} Trying again in ${pause} s …`);
    this.timer = setTimeout(() => this.connect(), 1000 * pause);
  }

  // Sends how the picture shall look; only the newest, some times a second.
  send(look) {
    this.look = JSON.stringify(look);
    this.sending ??= setTimeout(() => {
      this.sending = undefined;
      if (this.channel?.readyState === "open") this.channel.send(this.look);
    }, LOOK_EVERY_MS);
  }

  async measure() {
    if (this.peer?.connectionState !== "connected") return;
    const report = Object.fromEntries([...(await this.peer.getStats()).values()].map((item) => [
      item.type === "candidate-pair" && !item.nominated ? "other" : item.type, item]));
    const [now, before] = [report, this.before ?? report];
    this.before = now;
    const mean = (type, total, count) =>
      1000 * (((now[type]?.[total] ?? 0) - (before[type]?.[total] ?? 0)) /
        Math.max(1, (now[type]?.[count] ?? 0) - (before[type]?.[count] ?? 0)));
    const inbound = now["inbound-rtp"] ?? {};
    const fps = inbound.framesPerSecond ?? 0;
    // What is known of each step from camera to screen; the parser needs a frame's successor to know it is whole.
    const latency = this.server.latency + mean("outbound-rtp", "totalEncodeTime", "framesEncoded") +
      1000 * (now["candidate-pair"]?.currentRoundTripTime ?? 0) +
      mean("inbound-rtp", "totalProcessingDelay", "framesDecoded") +
      1000 / Math.max(1, now["media-source"]?.framesPerSecond ?? 30);
    this.events.figures({ fps, latency, parser: this.server.latency, width: inbound.frameWidth, height: inbound.frameHeight });
  }

  drop() {
    this.peer?.close();
    this.peer = this.channel = this.before = undefined;
    this.server = {};
  }

  end() {
    this.ended = true;
    clearTimeout(this.timer);
    clearTimeout(this.sending);
    clearInterval(this.clock);
    this.drop();
  }
}

function gathered(peer) {
  return new Promise((resolve) => {
    const check = () => peer.iceGatheringState === "complete" && resolve();
    peer.addEventListener("icegatheringstatechange", check);
    setTimeout(resolve, GATHER_MS);
    check();
  });
}

// Chromium's encoder begins at 300 kbit/s, which blurs the first seconds; other browsers overlook the line.
function startingFast(sdp) {
  return sdp.replace(/a=rtpmap:(\d+) VP8\/90000\r\n/, "$&a=fmtp:$1 x-google-start-bitrate=1500\r\n");
}

async function keepSize(sender) {
  const parameters = sender.getParameters();
  parameters.degradationPreference = "maintain-resolution";
  // Not known everywhere, and only a wish.
  await sender.setParameters(parameters).catch(() => {});
}
