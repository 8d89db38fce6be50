#!/bin/busybox sh
# Runs the host's commands. Lines on the control port: "run SESSION TOKEN" runs the command that comes over the
# session's ports, "end SESSION" ends its processes. The answers: "ready", and "free SESSION".
# shellcheck disable=SC2154 # the settings and the job set variables

for control in /sys/class/virtio-ports/*; do
  read -r name < "$control/name"
  [ "$name" = control ] && break
done
ports=/dev/${control##*/}
ports=${ports%p*}p

port() { # port SESSION STREAM: its device; waits for it, because the kernel adds ports one by one
  device=$ports$((2 + 3 * $1 + $2))
  until [ -e "$device" ]; do sleep 0.01; done
}

session() { # session NUMBER TOKEN
  at=/run/sessions/$1 token=$2 ended='' group='' cats=''
  rm -rf "$at"
  mkdir -p "$at"
  mkfifo -m 666 "$at/stdin" "$at/stdout" "$at/stderr" # also for a command of another user

  # The job: text for this shell. The port reads as ended until the kernel knows that the host has opened it.
  port "$1" 0
  exec 5< "$device"
  until read -r word <&5 && [ "$word" = "$token" ]; do sleep 0.01; done
  read -r length <&5
  dd bs="$length" count=1 iflag=fullblock of="$at/job" <&5 2> /dev/null
  . "$at/job" # begun, input, columns, folder; start

  trap 'ended=1; kill_all' TERM
  # The command writes to pipes, as it would elsewhere: a port can be opened only once. The token precedes its
  # output, but is not repeated after the command has rebooted the guest.
  for stream in 1 2; do
    port "$1" "$stream"
    [ "$stream" = 1 ] && pipe=$at/stdout || pipe=$at/stderr
    {
      [ "$begun" ] || printf %s "$token"
      exec cat "$pipe"
    } > "$device" 5<&- 6>&- &
    cats="$cats $!"
  done
  exec 3> "$at/stdout" 4> "$at/stderr"
  if [ "$input" ]; then
    input=$at/stdin
    cat <&5 > "$input" 3>&- 4>&- 5<&- 6>&- &
    feeder=$!
  else
    input=/dev/null feeder=''
  fi
  exec 5<&-
  if [ "$columns" -gt 0 ]; then export VFIOKIT_TERMINAL="$at/stderr" COLUMNS="$columns"; fi
  if [ ! "$ended" ]; then
    # A process group of its own, so that the command can be ended with what it started.
    (cd "$folder" && start) < "$input" >&3 2>&4 3>&- 4>&- 6>&- &
    group=$!
    # It may have been started after the end was demanded.
    [ "$ended" ] && kill_all
    wait "$group"
    code=$?
    [ "$ended" ] && wait "$group"
  fi
  [ "$feeder" ] && kill -KILL "$feeder" 2> /dev/null
  sync
  trap '' PIPE # the host may have closed the session meanwhile
  [ "$ended" ] || printf '%s\n' "$token" >&4
  [ "$ended" ] || printf '%s%s\n' "$token" "$code" >&3
  exec 3>&- 4>&-
  # What the command left running may hold its pipes open; the host then ends the session.
  # shellcheck disable=SC2086 # process ids
  wait $cats
  trap '' TERM
  rm -rf "$at"
  echo "free $1" >&6
}

kill_all() {
  # By both names: the command may not have begun its group yet.
  # shellcheck disable=SC2086 # process ids
  kill -KILL $group ${group:+-$group} $cats 2> /dev/null
}

exec 6<> "${ports}1"
echo ready >&6
while read -r order number token <&6; do
  case $order in
    run)
      jobs > /dev/null # collects the sessions that have ended
      session "$number" "$token" &
      eval "session_$number=$!"
      ;;
    end) eval "kill -TERM \$session_$number" 2> /dev/null ;;
  esac
done
