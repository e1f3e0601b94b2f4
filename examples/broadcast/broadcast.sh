#!/usr/bin/env bash
# Makes examples/broadcast/broadcast.opus: a minute of road radio with several
# voices, music and a long silence. Everything in it is synthetic and ours: the
# words are below, the voices are espeak-ng's, the tune is played by sox.
# Needs espeak-ng, sox and ffmpeg (with libopus). Usage: examples/broadcast/broadcast.sh [OUTPUT]
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-examples/broadcast/broadcast.opus}
for tool in espeak-ng sox ffmpeg; do
	command -v "$tool" >/dev/null || { echo "broadcast: $tool is not installed" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

calc() { awk "BEGIN { printf \"%.4f\", $1 }"; }

# -R: the same noise every time; -D: no dither.
run_sox() { sox -R -D "$@"; }

# say FILE VOICE PITCH SPEED DBFS EFFECTS...: speaks standard input. DBFS is the
# peak: the levels differ on purpose, a broadcast is never even.
say() {
	local file=$1 voice=$2 pitch=$3 speed=$4 level=$5
	shift 5
	espeak-ng -v "$voice" -p "$pitch" -s "$speed" -a 90 -w "$work/raw.wav" --stdin
	run_sox "$work/raw.wav" -b 16 -r 48000 -c 1 "$work/$file.wav" \
		silence 1 0.05 0.1% reverse silence 1 0.05 0.1% reverse "$@" norm "$level" pad 0.15 0.35
}

# The tune: 92 beats per minute, four bars of four beats, a chord each.
beat=0.652
bar=2.608
drums() {
	run_sox -n -r 48000 -c 1 "$work/kick.wav" synth 0.22 sine 110-42 fade l 0.002 0.22 0.2 gain -4
	run_sox -n -r 48000 -c 1 "$work/snare.wav" synth 0.18 pinknoise fade l 0.001 0.18 0.17 highpass 900 gain -n -8
	run_sox -n -r 48000 -c 1 "$work/hat.wav" synth 0.06 whitenoise gain -6 fade l 0.001 0.06 0.055 highpass 7000 gain -16
	run_sox -n -r 48000 -c 1 "$work/still.wav" trim 0 "$bar"
	local half hats=()
	for half in 0 1 2 3 4 5 6 7; do
		run_sox "$work/hat.wav" "$work/hat$half.wav" pad "$(calc "$half*$beat/2")"
		hats+=(-v 1 "$work/hat$half.wav")
	done
	run_sox "$work/kick.wav" "$work/kick2.wav" pad "$(calc "2.5*$beat")"
	run_sox "$work/snare.wav" "$work/snare1.wav" pad "$beat"
	run_sox "$work/snare.wav" "$work/snare3.wav" pad "$(calc "3*$beat")"
	run_sox -m "$work/still.wav" -v 1 "$work/kick.wav" -v 1 "$work/kick2.wav" -v 1 "$work/snare1.wav" -v 1 "$work/snare3.wav" \
		"${hats[@]}" "$work/drums.wav"
}

# play FILE BASS NOTE NOTE NOTE MELODY...: a strummed chord, its bass and a tune of eighths.
play() {
	local file=$1 bass=$2 chord=("$3" "$4" "$5") note notes=()
	shift 5
	run_sox -n -r 48000 -c 1 "$work/strum.wav" synth "$bar" pluck "${chord[0]}" synth "$bar" pluck mix "${chord[1]}" \
		synth "$bar" pluck mix "${chord[2]}" lowpass 5000 gain -n -8
	run_sox -n -r 48000 -c 1 "$work/bass.wav" synth "$bar" triangle "$bass" tremolo 3.07 60 fade l 0.01 "$bar" 0.3 lowpass 400 gain -n -17
	for note in "$@"; do
		run_sox -n -r 48000 -c 1 "$work/note$note${#notes[@]}.wav" synth "$(calc "$beat/2")" pluck "$note" fade l 0.002 "$(calc "$beat/2")" 0.05
		notes+=("$work/note$note${#notes[@]}.wav")
	done
	run_sox "${notes[@]}" "$work/melody.wav" gain -n -5
	run_sox -m -v 0.5 "$work/strum.wav" -v 0.5 "$work/bass.wav" -v 0.5 "$work/melody.wav" -v 0.8 "$work/drums.wav" "$work/$file.wav" trim 0 "$bar"
}

drums
play bar1 F2 F3 A3 C4 A4 C5 A4 G4 F4 G4 A4 C5
play bar2 D2 D3 F3 A3 D5 C5 A4 F4 A4 G4 F4 D4
play bar3 A#1 A#2 D3 F3 A#4 C5 D5 F5 D5 C5 A#4 G4
play bar4 C2 C3 E3 G3 C5 E5 D5 C5 G4 E4 G4 C5
run_sox "$work"/bar[1234].wav "$work/tune.wav" gain -3 reverb 25 50 60 gain -n -3

say host fr+Annie 52 158 -3 <<<"Bonjour à toutes et à tous ! Vous écoutez Route et Soleil, la radio qui roule avec vous. Il est huit heures, installez-vous bien."
say traffic fr-be+michel 38 165 -13 <<<"Côté circulation, c'est calme. Sur l'autoroute, comptez dix minutes de plus avant le péage. Ailleurs, la route est à vous."
say driver fr+Denis 30 172 -5 highpass 350 lowpass 3200 overdrive 6 <<<"Allô ? Oui, bonjour ! Ici Karim, dans mon camion. Je vois le soleil se lever sur les vignes, et je voulais vous dire merci pour la musique."
say host2 fr+Annie 54 155 -4 <<<"Merci, Karim. Bonne route à vous tous, et pensez à la pause toutes les deux heures. À tout de suite !"

# In order: intro under the host, traffic, music, a silence of 7 s, caller, host, outro.
run_sox "$work/tune.wav" "$work/intro.wav" trim 0 5 fade t 0.05 5 2.2 gain -2
run_sox "$work/tune.wav" "$work/music.wav" trim 0 10.432 fade t 0.02 10.432 1.5
run_sox "$work/tune.wav" "$work/outro.wav" trim 0 7 fade t 1 7 4 gain -3
run_sox "$work/host.wav" "$work/late.wav" pad 2.8
run_sox -m -v 1 "$work/intro.wav" -v 1 "$work/late.wav" "$work/opening.wav"
run_sox -n -r 48000 -c 1 "$work/silence.wav" trim 0 7
run_sox "$work/opening.wav" "$work/traffic.wav" "$work/music.wav" "$work/silence.wav" \
	"$work/driver.wav" "$work/host2.wav" "$work/outro.wav" "$work/broadcast.wav"

mkdir -p "$(dirname "$output")"
ffmpeg -v error -y -i "$work/broadcast.wav" -ac 1 -c:a libopus -b:a 48k -frame_duration 20 -application audio \
	-bitexact -serial_offset 2026 -map_metadata -1 -metadata title="Route et Soleil" -metadata artist="RoadWave" "$output"
echo "$output: $(stat -c %s "$output") bytes, $(soxi -D "$work/broadcast.wav") s"
