# frozen_string_literal: true

# What Sidekiq's processes load: where Redis is, one trivial job, and the pipe that tells which are done.

require 'sidekiq'

REDIS = { url: ENV.fetch('PEER_URL'), driver: :hiredis }.freeze

# A record is four bytes, so a write of one is whole.
TALLY = File.open(ENV.fetch('PEERS_TALLY'), 'wb').tap { |pipe| pipe.sync = true }
# What a process writes before its first task.
READY = 0xffffffff

# Its notes on an older gem of Redis go to a terminal otherwise, thousands of them.
Redis.silence_deprecations = true
Sidekiq.logger.level = Logger::ERROR
Sidekiq.configure_server do |config|
  config.redis = REDIS
  config.on(:startup) { TALLY.syswrite([READY].pack('V')) }
end
Sidekiq.configure_client { |config| config.redis = REDIS }

# The task itself, the same for every peer.
class Prime
  include Sidekiq::Job
  sidekiq_options retry: false

  def perform(index)
    number = index % 100
    divisor = 2
    divisor += 1 while divisor * divisor <= number && number % divisor != 0
    answer = number > 1 && divisor * divisor > number
    TALLY.syswrite([index].pack('V'))
    answer
  end
end
