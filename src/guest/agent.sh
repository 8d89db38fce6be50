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

run() { # run SESSION TOKEN
  at=/run/sessions/$1 token=$2 cats=''
  rm -rf "$at"
  mkdir "$at"
  mkfifo -m 666 "$at/stdin" "$at/stdout" "$at/stderr" # also for a command of another user

  # The job: text for this shell. The port reads as ended until the kernel knows that the host has opened it.
  port "$1" 0
  exec 5< "$device"
  until read -r word <&5 && [ "$word" = "$token" ]; do sleep 0.01; done
  read -r length <&5
  dd bs="$length" count=1 iflag=fullblock of="$at/job" <&5 2> /dev/null
  . "$at/job" # begun, input, columns, folder; start

  # The command writes to pipes, as it would elsewhere: a port can be opened only once. The token precedes its
  # output, but is not repeated after the command has rebooted the guest.
  for stream in 1 2; do
    port "$1" "$stream"
    [ "$stream" = 1 ] && pipe=$at/stdout || pipe=$at/stderr
    {
      [ "$begun" ] || printf %s "$token"
      exec cat "$pipe"
    } > "$device" 2> /dev/null 5<&- 6>&- 7>&- &
    cats="$cats $!"
  done
  exec 3> "$at/stdout" 4> "$at/stderr"
  feeder=''
  if [ "$input" ]; then
    input=$at/stdin
    cat <&5 > "$input" 2> /dev/null 3>&- 4>&- 5<&- 6>&- 7>&- &
    feeder=$!
  else
    input=/dev/null
  fi
  exec 5<&-
  echo "$cats" > "$at/cats"
  (
    if [ "$columns" -gt 0 ]; then export VFIOKIT_TERMINAL="$at/stderr" COLUMNS="$columns"; fi
    cd "$folder" && start "$at"
  ) < "$input" >&3 2>&4 3>&- 4>&- 6>&- 7>&-
  code=$?
  [ "$feeder" ] && kill -KILL "$feeder"
  sync
  trap '' PIPE # the host may end the session at any time
  printf '%s\n' "$token" >&4
  printf '%s%s\n' "$token" "$code" >&3
  trap - PIPE
  exec 3>&- 4>&-
  # What the command left running may hold its pipes open; the host then ends the session.
  # shellcheck disable=SC2086 # process ids
  wait $cats
  rm -rf "$at"
  echo "free $1" >&6
}

end() { # end SESSION
  at=/run/sessions/$1
  # A command that has not written down its process group sees this when it has.
  echo > "$at/ended" || return # it has ended by itself
  read -r group < "$at/group" && kill -KILL "-$group"
  # shellcheck disable=SC2046 # process ids
  kill -KILL $(cat "$at/cats")
} 2> /dev/null

# Every session waits for its orders from the beginning: a process that a shell starts in the background, and all that
# come from it, ignore Ctrl-C. Those of a pipeline do not.
session() { # session NUMBER
  exec 7<> "/run/orders/$1"
  while read -r token <&7; do run "$1" "$token"; done
}

dispatch() {
  echo ready >&6
  while read -r order number token <&6; do
    case $order in
      run) echo "$token" > "/run/orders/$number" ;;
      end) end "$number" ;;
    esac
  done
}

mkdir /run/sessions /run/orders
for number in 0 1 2 3 4 5 6 7; do mkfifo "/run/orders/$number"; done
exec 6<> "${ports}1" < /dev/null > /dev/console
session 0 | session 1 | session 2 | session 3 | session 4 | session 5 | session 6 | session 7 | dispatch
