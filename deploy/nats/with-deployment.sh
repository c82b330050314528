#!/bin/sh
# accounts.conf for an installation with POSTHASTE_DEPLOYMENT=<name>: its subjects begin with "<name>.", its streams with "<name>_".
#
#   deploy/nats/with-deployment.sh blue > /etc/nats/accounts.conf
set -eu
name=${1:?"usage: $0 <deployment>"}
exec sed -E \
  -e "s/\"(alive|bulk|ce|circuit|count|credential|dead|deliver|journal|keyuse|lane|lease|projector|registry|retry|signer|validate|wake)\./\"$name.\1./g" \
  -e "/[$]JS[.]/s/[.](CIRCUITS|COUNTERS|DEADLETTERS|DELIVERIES|EVENTS|JOURNAL|KEYUSES|LANES|LEASES|REGISTRY|RETRIES|VALIDATIONS|WAKE)\b/.${name}_\1/g" \
  "$(dirname "$0")/accounts.conf"
